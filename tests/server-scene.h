/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* server-scene: a server on a path, what it took, and clients in system calls. */

#pragma once

#include "witness.h"

/* Two users who are neither root nor `nobody`, and have nothing. */
#define SCENE_USER 61001
#define SCENE_OTHER_USER 61002

typedef struct
{
  Witness witness;
  UsockServer *server;
  char *path;
  GPtrArray *connections;
} ServerScene;

/* Listens, and everybody may open the path. */
void server_scene_start       (ServerScene *scene,
                               UsockTest   *test,
                               const char  *signals);
/* The same for a second one. */
void server_scene_start_at    (ServerScene *scene,
                               UsockTest   *test,
                               const char  *entry,
                               const char  *signals);
/* Keeps what comes in `connections`. */
void server_scene_accept      (ServerScene *scene);
void server_scene_stop        (ServerScene *scene);

int  server_scene_connect     (ServerScene *scene);
/* Only root can be somebody else: TRUE, and the test is skipped, for others. */
gboolean server_scene_skip_users (void);
void server_scene_become      (guint        user);
int  server_scene_connect_as  (ServerScene *scene,
                               guint        user);
UsockChannel *server_scene_take (ServerScene *scene,
                               guint        index);
