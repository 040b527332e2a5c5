/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Control messages: the bytes of one, as the kernel or somebody else wrote them, become a value, and
 * a value becomes bytes. What goes there and back is the same. */

#include "fuzz.h"

#include <string.h>

#include "usock-control-private.h"
#include "usock-constants.h"

#include <netinet/in.h>

static const struct
{
  int level;
  int first;
  int last;
} KINDS[] = {
  { SOL_SOCKET, 1, 90 }, { IPPROTO_IP, 1, 52 }, { IPPROTO_IPV6, 1, 80 },
  { IPPROTO_UDP, 100, 110 }, { IPPROTO_TCP, 1, 45 }, { 263, 1, 30 },
};

int
LLVMFuzzerTestOneInput (const guint8 *data,
                        gsize         size)
{
  FuzzInput input = { data, size };
  guint kind = fuzz_take_below (&input, G_N_ELEMENTS (KINDS));
  UsockControl control = { KINDS[kind].level };
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GBytes) back = NULL;
  g_autofree char *text = NULL;
  const guint8 *start;
  g_autofree guint8 *bytes = NULL;

  control.type = KINDS[kind].first
                 + (int) fuzz_take_below (&input, KINDS[kind].last - KINDS[kind].first + 1);
  start = fuzz_take_bytes (&input, 512, &control.length);
  bytes = g_memdup2 (start, control.length);
  control.data = bytes;

  value = g_variant_ref_sink (usock_control_decode (&control));
  text = g_variant_print (value, TRUE);
  back = usock_control_encode (control.level, control.type, value);
  if (back != NULL)
    {
      const UsockControl again = { control.level, control.type, g_bytes_get_size (back),
                                   g_bytes_get_data (back, NULL) };
      g_autoptr (GVariant) same = g_variant_ref_sink (usock_control_decode (&again));

      g_assert_cmpvariant (same, value);
    }
  return 0;
}
