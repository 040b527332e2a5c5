/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-frame: what a call looks like on its way, see doc/peer-protocol.md.
 *
 * A frame is a header of 32 bytes, a name, the type of a value, and bytes of a body. Here one is
 * written, and read with all the rules that it keeps by itself; what frames mean to each other is
 * for who reads them. A rule is called by the name that the document has for it. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define USOCK_FRAME_VERSION 1
#define USOCK_FRAME_HEADER 32
#define USOCK_FRAME_MAX (256 * 1024)
#define USOCK_FRAME_NAME_MAX 255
#define USOCK_FRAME_FDS_MAX 253

typedef enum
{
  USOCK_FRAME_CALL = 1,
  USOCK_FRAME_REPLY,
  USOCK_FRAME_ERROR,
  USOCK_FRAME_CANCEL,
  USOCK_FRAME_POST,
  USOCK_FRAME_PIECE,       /* of what its sender called or posted */
  USOCK_FRAME_REPLY_PIECE, /* of what its sender replied */
} UsockFrameType;

typedef enum /*< flags >*/
{
  USOCK_FRAME_FLAGS_NONE = 0,
  USOCK_FRAME_FLAGS_MEMFD = 1 << 0, /* the body is in the last descriptor */
} UsockFrameFlags;

typedef struct
{
  guint8 type;
  guint8 kind; /* a UsockBodyKind */
  guint8 flags;
  guint8 n_fds;
  guint32 length; /* all together */
  guint32 serial;
  gint32 code; /* of an error */
  guint64 size; /* of the whole body; of a piece, where it belongs */
  const char *name; /* not terminated, like the signature; NULL for none */
  guint name_length;
  const char *signature;
  guint signature_length;
  const guint8 *body;
  gsize body_length; /* of which there are so many bytes here */
} UsockFrame;

void        usock_frame_write  (const UsockFrame *self,
                                guint8           *buffer);
gsize       usock_frame_head   (const UsockFrame *self);
const char *usock_frame_read   (UsockFrame       *self,
                                const guint8     *data,
                                gsize             length);
const char *usock_frame_check_name (const char   *name);

G_END_DECLS
