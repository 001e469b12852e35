import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { SubmitEvent } from "react";

import { logIn, type Session } from "../api/operations";
import { Button } from "./ui/Button";
import { Field, INPUT } from "./ui/Field";

export function LoginForm({ session }: { session: Session }) {
  const cache = useQueryClient();
  const login = useMutation({
    mutationFn: logIn,
    onSuccess: () => cache.invalidateQueries(),
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const password = new FormData(event.currentTarget).get("password");
    if (typeof password === "string") login.mutate(password);
  };
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form onSubmit={onSubmit} className="w-full max-w-sm space-y-4 rounded-xl border border-line bg-surface p-6">
        <h1 className="text-lg font-semibold">VAP</h1>
        {session.password_login ? (
          <>
            <Field label="Password" hint="VAP_ADMIN_PASSWORD of the server">
              <input name="password" type="password" required autoFocus autoComplete="current-password" className={INPUT} />
            </Field>
            {login.error && <p role="alert" className="text-sm text-bad">{login.error.message}</p>}
            <Button type="submit" look="primary" disabled={login.isPending}>Log in</Button>
          </>
        ) : (
          <p className="text-sm text-quiet">
            This server has no password set, so the page cannot be used from here. Set VAP_ADMIN_PASSWORD and start it again.
          </p>
        )}
      </form>
    </main>
  );
}
