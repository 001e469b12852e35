import { useQuery } from "@tanstack/react-query";

import { mayChange, sessionQuery } from "../api/operations";

/** Whether to offer what changes something: a viewer only looks. */
export const useMayChange = (): boolean => mayChange(useQuery(sessionQuery).data);
