/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <libintl.h>
#include <usock/usock.h>

G_BEGIN_DECLS

#define _(text) gettext (text)
#define N_(text) text

/* What a script can rely on. */
typedef enum
{
  TOOL_DONE = 0,
  TOOL_FAILED = 1,
  TOOL_USAGE = 2,
  TOOL_TIMEOUT = 3,
} ToolStatus;

typedef struct
{
  const char *name;
  const char *arguments;
  const char *summary;
  ToolStatus (*run) (int    argc,
                     char **argv);
} ToolCommand;

ToolStatus tool_call    (int    argc,
                         char **argv);
ToolStatus tool_connect (int    argc,
                         char **argv);
ToolStatus tool_listen  (int    argc,
                         char **argv);
ToolStatus tool_monitor (int    argc,
                         char **argv);
ToolStatus tool_notify  (int    argc,
                         char **argv);
ToolStatus tool_pass    (int    argc,
                         char **argv);
ToolStatus tool_receive (int    argc,
                         char **argv);
ToolStatus tool_send    (int    argc,
                         char **argv);
ToolStatus tool_serve   (int    argc,
                         char **argv);
ToolStatus tool_wait    (int    argc,
                         char **argv);

/* What a command takes, besides its own options and --timeout. */
typedef enum
{
  TOOL_TAKES_NOTHING = 0,
  TOOL_TAKES_TYPE = 1 << 0,
  TOOL_TAKES_DATAGRAM = 1 << 1,
  TOOL_TAKES_NAME = 1 << 2,
  TOOL_TAKES_WAIT = 1 << 3,
  TOOL_TAKES_SERVER = 1 << 4,
  TOOL_TAKES_FRAMING = 1 << 5,
} ToolTakes;

/* Where one message ends and the next begins on standard input and output. */
typedef enum
{
  TOOL_FRAMING_DEFAULT,
  TOOL_FRAMING_RAW,
  TOOL_FRAMING_LINES,
  TOOL_FRAMING_NULL,
  TOOL_FRAMING_LENGTH,
  TOOL_FRAMING_WHOLE,
} ToolFraming;

/* What the command line says, which does not change once the command runs. */
typedef struct
{
  const ToolCommand *command;
  GSocketType type;
  char *name;
  gboolean is_activated;
  char *activated; /* which of the sockets that were passed; NULL for the only one */
  gboolean waits;
  gboolean wants_answers;
  int mode; /* -1 if nothing was said */
  char *group;
  int max_fds;
  gboolean pass_credentials;
  ToolFraming framing;
  double timeout; /* in seconds; 0 for none */
} ToolSettings;

extern ToolSettings tool;

/* options.c */
ToolStatus    tool_parse            (ToolTakes            takes,
                                     const GOptionEntry  *entries,
                                     const char          *description,
                                     int                 *argc,
                                     char              ***argv);
gboolean      tool_take_place       (int                 *argc,
                                     char              ***argv,
                                     const char         **place);
ToolStatus    tool_fail_usage       (const char          *format,
                                     ...) G_GNUC_PRINTF (1, 2);

/* run.c */
void          tool_init             (void);
ToolStatus    tool_run              (void);
void          tool_stop             (ToolStatus           status);
void          tool_stop_with        (const GError        *error);
void          tool_stop_by_pipe     (const GError        *error);
void          tool_watch            (UsockSocket         *socket);
void          tool_touch            (void);
ToolStatus    tool_report           (const GError        *error);
void          tool_complain         (const char          *format,
                                     ...) G_GNUC_PRINTF (1, 2);
gboolean      tool_has_colour       (int                  fd);

/* place.c */
typedef void (*ToolConnectedFunc) (UsockChannel *channel,
                                   const GError *error,
                                   gpointer      user_data);

GSocketType   tool_guess_type       (const char          *place);
void          tool_open             (const char          *place,
                                     ToolConnectedFunc    func,
                                     gpointer             user_data);
UsockServer  *tool_listen_at        (const char          *place,
                                     GError             **error);
UsockDgram   *tool_bind_at          (const char          *place,
                                     GError             **error);

/* input.c: standard input, message by message, read no faster than they are taken */
typedef struct _ToolInput ToolInput;
typedef void (*ToolInputFunc) (gpointer user_data);

ToolInput    *tool_input_new        (ToolFraming          framing);
ToolInput    *tool_input_new_for_texts
                                    (char               **texts);
void          tool_input_free       (ToolInput           *self);
void          tool_input_set_fds    (ToolInput           *self,
                                     const int           *fds,
                                     gsize                n_fds);
void          tool_input_set_func   (ToolInput           *self,
                                     ToolInputFunc        func,
                                     gpointer             user_data);
UsockMessage *tool_input_take       (ToolInput           *self);
void          tool_input_wait       (ToolInput           *self);
gboolean      tool_input_is_over    (ToolInput           *self);

/* output.c: standard output, which may be slower than what is written to it */
void          tool_output           (const void          *data,
                                     gsize                length);
void          tool_output_text      (const char          *text);
void          tool_output_frame     (UsockMessage        *message);
void          tool_output_then      (GFunc                func,
                                     gpointer             data,
                                     gpointer             user_data);
void          tool_output_then_stop (void);
void          tool_output_end       (void);

/* contents.c: what received descriptors are open on, to standard output */
void          tool_output_contents  (UsockMessage        *message,
                                     GFunc                done,
                                     gpointer             user_data);

/* pump.c: what comes in to a channel, and what the channel says to standard output */
typedef enum
{
  TOOL_PUMP_BOTH,
  TOOL_PUMP_SEND, /* what comes is dropped */
  TOOL_PUMP_ASK,  /* each message is answered before the next is sent */
} ToolPumpMode;

void          tool_pump             (UsockChannel        *channel,
                                     ToolInput           *input,
                                     ToolPumpMode         mode);

/* progress.c: how far a long transfer is, where somebody can see it */
void          tool_progress         (gsize                n_bytes);
void          tool_progress_clear   (void);

/* show.c: messages for people, and for programs */
typedef enum
{
  TOOL_SHOW_TEXT,
  TOOL_SHOW_HEX,
  TOOL_SHOW_JSON,
} ToolShow;

void          tool_show_message     (ToolShow             how,
                                     guint                connection,
                                     const char          *from,
                                     UsockMessage        *message);
void          tool_show_event       (ToolShow             how,
                                     guint                connection,
                                     const char          *from,
                                     const char          *event,
                                     GCredentials        *credentials,
                                     const GError        *error);

/* monitor.c, and what it does with datagrams */
UsockMessage *tool_copy_message     (UsockMessage        *message);
ToolStatus    tool_monitor_datagrams
                                    (const char          *place,
                                     const char          *server,
                                     ToolShow             show,
                                     int                  wanted);

/* child.c: programs that are run for a connection or a call */
GSubprocess  *tool_start            (char               **command,
                                     int                  in_fd,
                                     int                  out_fd,
                                     const char          *call,
                                     GCredentials        *credentials,
                                     GError             **error);

G_END_DECLS
