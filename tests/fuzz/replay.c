/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* replay SEEDS [RUNS]: runs a target with each file of a directory, and then with so many changes of
 * them, always the same ones. Prints what the suite reads. A file instead of a directory is run once,
 * as libFuzzer leaves it when a run has failed. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 4096

static void
change (GRand      *rand,
        GByteArray *bytes)
{
  guint n_changes = (guint) g_rand_int_range (rand, 1, 8);

  while (n_changes-- > 0)
    {
      guint at = bytes->len > 0 ? g_rand_int (rand) % bytes->len : 0;
      guint8 byte = (guint8) g_rand_int (rand);

      switch (g_rand_int_range (rand, 0, 5))
        {
        case 0:
          g_byte_array_append (bytes, &byte, 1);
          break;
        case 1:
          g_byte_array_set_size (bytes, at);
          break;
        case 2:
          if (bytes->len > 0 && bytes->len < LONGEST / 2)
            {
              g_autofree guint8 *rest = g_memdup2 (bytes->data + at, bytes->len - at);

              g_byte_array_append (bytes, rest, bytes->len - at);
            }
          break;
        default:
          if (bytes->len > 0)
            bytes->data[at] = byte;
        }
    }
}

static void
run (const guint8 *data,
     gsize         size)
{
  /* Of its own size, so that what reads too far is seen. */
  g_autofree guint8 *copy = g_memdup2 (data, size);

  LLVMFuzzerTestOneInput (copy, size);
}

static GPtrArray *
read_seeds (const char *path)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name = NULL;

  while (directory == NULL || (name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *file = directory != NULL ? g_build_filename (path, name, NULL)
                                                : g_strdup (path);
      char *data;
      gsize size;

      if (g_file_get_contents (file, &data, &size, NULL))
        g_ptr_array_add (seeds, g_bytes_new_take (data, size));
      if (directory == NULL)
        break;
    }
  return seeds;
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr (GPtrArray) seeds = read_seeds (argv[1]);
  guint n_runs = argc > 2 ? (guint) atoi (argv[2]) : 0;
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  g_print ("1..2\n");
  for (guint i = 0; i < seeds->len; i++)
    {
      gsize size;
      const guint8 *data = g_bytes_get_data (seeds->pdata[i], &size);

      run (data, size);
    }
  g_print ("%s 1 %u seeds\n", seeds->len > 0 ? "ok" : "not ok", seeds->len);

  for (guint i = 0; i < n_runs && seeds->len > 0; i++)
    {
      GBytes *seed = seeds->pdata[g_rand_int (rand) % seeds->len];
      g_autoptr (GByteArray) bytes = g_byte_array_new ();

      g_byte_array_append (bytes, g_bytes_get_data (seed, NULL), g_bytes_get_size (seed));
      change (rand, bytes);
      run (bytes->data, bytes->len);
    }
  g_print ("ok 2 %u changes of them\n", n_runs);
  return 0;
}
