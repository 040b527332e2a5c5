/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* A line on the terminal that says how far a transfer is, once it takes longer than a moment. Where
 * standard input or output is the terminal there is something else to see on it. */

#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define DELAY_US (1 * G_USEC_PER_SEC)
#define INTERVAL_US (G_USEC_PER_SEC / 5)

static gint64 begun;
static gint64 drawn;
static guint64 n_done;
static gboolean is_shown;

static gboolean
is_wanted (void)
{
  static int wanted = -1;

  if (wanted < 0)
    wanted = isatty (STDERR_FILENO) && !isatty (STDIN_FILENO) && !isatty (STDOUT_FILENO);
  return wanted;
}

static guint64
total_size (void)
{
  struct stat status;

  return fstat (STDIN_FILENO, &status) == 0 && S_ISREG (status.st_mode) ? status.st_size : 0;
}

static void
draw (gint64 now)
{
  g_autofree char *done = g_format_size (n_done);
  g_autofree char *speed = g_format_size (n_done * G_USEC_PER_SEC / MAX (now - begun, 1));
  guint64 total = total_size ();
  g_autofree char *part
      = total >= n_done && total > 0 ? g_strdup_printf (", %d %%", (int) (n_done * 100 / total)) : NULL;

  g_printerr ("\r\033[K");
  /* Translators: how much was transferred, how much in a second, and how many per cent, if known */
  g_printerr (_("%s, %s/s%s"), done, speed, part != NULL ? part : "");
  drawn = now;
  is_shown = TRUE;
}

/* So many more bytes were transferred. */
void
tool_progress (gsize n_bytes)
{
  gint64 now;

  if (!is_wanted ())
    return;

  now = g_get_monotonic_time ();
  if (begun == 0)
    begun = now;
  n_done += n_bytes;
  if (now - begun > DELAY_US && now - drawn > INTERVAL_US)
    draw (now);
}

void
tool_progress_clear (void)
{
  if (is_shown)
    g_printerr ("\r\033[K");
  is_shown = FALSE;
}
