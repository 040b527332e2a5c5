/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "usock-error-private.h"
#include "usock-operation-private.h"
#include "usock-reactor-private.h"
#include "usock-socket.h"

G_BEGIN_DECLS

/* Why a socket ends. What broke it is known before it ends: what can still be read is, first. */
typedef struct
{
  GError *error;     /* the first that went wrong; NULL for nothing */
  bool is_final; /* it has ended with that */
} UsockFate;

/* What who accepted a socket is told, without a signal handler on it: that it is closed, before
 * anybody else is, and that everybody was told. */
typedef struct
{
  void (*closed) (UsockSocket *self, gpointer user_data);
  void (*told) (UsockSocket *self, gpointer user_data);
} UsockSocketOwner;

/* Where a descriptor is from, which tells what it need not be told. */
typedef enum
{
  USOCK_ORIGIN_UNKNOWN,
  USOCK_ORIGIN_NEW,  /* made here: no option is on */
  USOCK_ORIGIN_HEIR, /* accepted: it has the options of its listener */
} UsockOrigin;

/* usock-socket: one descriptor and its one state machine.
 *
 * The base owns the descriptor, from usock_socket_start() to the one place that closes it, and
 * the end of every socket: what still waits is completed, then `error` if there was one, then
 * `close`. While it is attached to its reactor, the reactor keeps it alive. */
struct _UsockSocket
{
  GObject parent_instance;

  UsockReactor *reactor; /* NULL if the process had no descriptor left for one */
  UsockWatch watch;
  int fd;
  int family;
  int type;

  UsockState state;
  UsockState notified_state;
  int notified_fd;
  int notified_family;
  UsockOrigin origin;
  bool held;
  bool finishing;
  bool sealed; /* as long as there is its descriptor, it has taken no descriptors from others */
  bool orphaned; /* its context goes, and nobody is left to call back */
  bool readdressed; /* and nobody was notified of it */
  bool peer_known;
  bool given_away; /* somebody else has the descriptor, who needs what belongs to it */

  UsockFate fate;
  int error_number;
  UsockIoCall error_call;

  GArray *options; /* to be set on each descriptor that is made; NULL for none */
  const char *refused_option; /* of those, which the kernel refused last */

  char *label; /* the other end, as errors call it */
  GSocketAddress *local_address;
  GSocketAddress *remote_address;

  UsockCredentials peer; /* kept for when the descriptor is closed */

  const UsockSocketOwner *owner;
  gpointer owner_data;
};

struct _UsockSocketClass
{
  GObjectClass parent_class;

  gboolean manages_options; /* it works by itself, and options could break it from below */
  gboolean immediate; /* needs no main context, but to close with a signal that somebody awaits */

  void (*dispatch) (UsockSocket *self);   /* something is ready, and it is not closed */
  gboolean (*wanted) (UsockSocket *self); /* sampled; must emit nothing */
  void (*closing) (UsockSocket *self);    /* the descriptor is about to be closed */
  gboolean (*lingers) (UsockSocket *self); /* closed, but `close` has to wait */
  void (*finish) (UsockSocket *self);     /* before the last signals: complete what waits */
  gboolean (*holds_input) (UsockSocket *self); /* read from the kernel, and not delivered */
  gboolean (*shutdown) (UsockSocket *self, UsockShut how, GError **error);
  /* Whether the descriptor can be given away; if so, what of a stream was read and not received,
   * or NULL. Leaves everything as it was. */
  gboolean (*surrender) (UsockSocket *self, GBytes **unread, GError **error);
  void (*restore) (UsockSocket *self);    /* given away: nobody knows of our options */
  void (*notify_fd) (UsockSocket *self);  /* of what comes and goes with the descriptor */
  void (*orphaned) (UsockSocket *self);   /* nothing can be completed any more: drop it */
};

#define USOCK_SOCKET_GET_CLASS(instance)                                                           \
  G_TYPE_INSTANCE_GET_CLASS (instance, USOCK_TYPE_SOCKET, UsockSocketClass)

typedef enum
{
  USOCK_SOCKET_PROP_FD = 1,
  USOCK_SOCKET_PROP_FAMILY,
  USOCK_SOCKET_PROP_SOCKET_TYPE,
  USOCK_SOCKET_PROP_STATE,
  USOCK_SOCKET_PROP_HELD,
  USOCK_SOCKET_PROP_HAD_ERROR,
  USOCK_SOCKET_PROP_LOCAL_ADDRESS,
  USOCK_SOCKET_PROP_REMOTE_ADDRESS,
} UsockSocketProperty;

/* A public call is for the thread that owns the main context: of what it is called in another, it
 * does nothing. Where it has no error to tell that with, it is a mistake of the program. */
#define usock_socket_return_if_not_ours(self)                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (G_UNLIKELY (!usock_socket_is_ours ((UsockSocket *) (self), G_STRFUNC)))                    \
      return;                                                                                      \
  }                                                                                                \
  G_STMT_END
#define usock_socket_return_val_if_not_ours(self, value)                                           \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (G_UNLIKELY (!usock_socket_is_ours ((UsockSocket *) (self), G_STRFUNC)))                    \
      return (value);                                                                              \
  }                                                                                                \
  G_STMT_END

/* usock-socket-access.c */
UsockAccess
         usock_socket_get_access  (UsockSocket       *self);
gboolean usock_socket_may_close   (UsockSocket       *self,
                                   const char        *call);
gboolean usock_socket_is_ours     (UsockSocket       *self,
                                   const char        *call);
gboolean usock_socket_check_thread (UsockSocket      *self,
                                   GError           **error);

/* usock-socket-name.c */
void     usock_socket_readdress   (UsockSocket       *self,
                                   const char        *label);
void     usock_socket_set_label   (UsockSocket       *self,
                                   const char        *label);
const char *
         usock_socket_get_label   (UsockSocket       *self);
void     usock_socket_set_too_large
                                  (UsockSocket       *self,
                                   gsize              length,
                                   const char        *label,
                                   GError           **error);
int      usock_socket_find_peer   (UsockSocket       *self);
void     usock_socket_remember_peer
                                  (UsockSocket       *self);
void     usock_socket_remember_remote
                                  (UsockSocket       *self);

/* usock-socket-signals.c */
void     usock_socket_install_properties
                                  (GObjectClass      *class);
void     usock_socket_install_signals (void);
void     usock_socket_notify      (UsockSocket       *self,
                                   UsockSocketProperty property);
void     usock_socket_notify_changes
                                  (UsockSocket       *self);
gboolean usock_socket_is_listened_to
                                  (UsockSocket       *self);
void     usock_socket_emit_error  (UsockSocket       *self,
                                   const GError      *error);
void     usock_socket_emit_end    (UsockSocket       *self);

/* usock-socket-life.c */
void     usock_socket_find_reactor (UsockSocket      *self);
gboolean usock_socket_check       (UsockSocket       *self,
                                   GError           **error);
int      usock_socket_refuse_fds  (UsockSocket       *self,
                                   int                fd,
                                   gboolean           refuse);
gboolean usock_socket_start       (UsockSocket       *self,
                                   int                fd,
                                   gboolean           watched,
                                   GError           **error);
void     usock_socket_retreat     (UsockSocket       *self);
int      usock_socket_withdraw    (UsockSocket       *self);
gboolean usock_socket_watch       (UsockSocket       *self,
                                   GError           **error);
void     usock_socket_set_state   (UsockSocket       *self,
                                   UsockState         state);
void     usock_socket_record      (UsockSocket       *self,
                                   UsockIoCall        call,
                                   int                errnum);
void     usock_socket_close_fd    (UsockSocket       *self);
void     usock_socket_fail        (UsockSocket       *self,
                                   GError            *error);
void     usock_socket_conclude    (UsockSocket       *self);
int      usock_socket_give_away   (UsockSocket       *self);
void     usock_socket_join        (UsockSocket       *self,
                                   UsockReactor      *reactor);
void     usock_socket_set_owner   (UsockSocket       *self,
                                   const UsockSocketOwner *owner,
                                   gpointer           user_data);
gboolean usock_socket_check_async (UsockSocket       *self,
                                   gpointer           tag,
                                   GAsyncReadyCallback callback,
                                   gpointer           user_data);

/* usock-socket-option.c */
int      usock_socket_apply_options (UsockSocket     *self,
                                     int              fd);
void     usock_socket_explain_option (UsockSocket    *self,
                                      GError        **error);

/* usock-socket-steal.c */
gboolean usock_socket_surrender    (UsockSocket       *self,
                                    GBytes           **unread,
                                    GError           **error);

G_END_DECLS
