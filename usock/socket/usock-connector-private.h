/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* usock-connector: one TCP connection to the first of many addresses that answers.
 *
 * A host has several addresses, and some of them may be dead in a way that takes minutes to show.
 * So they race, as RFC 8305 says: one attempt after the other is begun, of changing families, a
 * quarter of a second apart or as soon as one has failed; the first that is connected wins, and
 * the others are closed. Addresses may be added while the race is on. It knows nothing of names,
 * time limits or objects; whoever owns it asks for the result when it is told that there is one. */

#pragma once

#include "usock-reactor-private.h"

G_BEGIN_DECLS

typedef struct _UsockConnector UsockConnector;

/* How long one attempt has for itself, in milliseconds. */
#define USOCK_CONNECTOR_DELAY 250

/* Why one address was not the one. */
typedef struct
{
  UsockName *name;
  UsockIoCall call;
  int errnum;
} UsockConnectorFailure;

/* Sets options on a socket before it connects; 0 or a negative errno. */
typedef int (*UsockConnectorPrepare) (int       fd,
                                      gpointer  user_data);
/* There is a result to take, or one more failure to get. Must not free the connector. */
typedef void (*UsockConnectorReady)  (gpointer  user_data);

UsockConnector *usock_connector_new    (UsockReactor          *reactor,
                                        UsockConnectorPrepare  prepare,
                                        UsockConnectorReady    ready,
                                        gpointer               user_data);
void            usock_connector_bind   (UsockConnector        *self,
                                        UsockName             *local);
void            usock_connector_set_delay (UsockConnector     *self,
                                        guint                  delay);
void            usock_connector_add    (UsockConnector        *self,
                                        UsockName             *name);
void            usock_connector_finish (UsockConnector        *self);
int             usock_connector_take   (UsockConnector        *self,
                                        int                   *family,
                                        UsockIoCall           *call);
void            usock_connector_set_failed (UsockConnector      *self,
                                        UsockConnectorReady    failed);
const UsockConnectorFailure *
                usock_connector_get_failure (UsockConnector   *self,
                                        guint                  index);
void            usock_connector_free   (UsockConnector        *self);

G_END_DECLS
