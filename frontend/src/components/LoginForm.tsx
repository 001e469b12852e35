import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { SubmitEvent } from "react";

import { logIn, type Session } from "../api/operations";
import { sentence } from "../lib/format";
import { Button } from "./ui/Button";
import { Field, INPUT } from "./ui/Field";
import { useTitle } from "./useTitle";

/** Asks for the password of a server that is reached from elsewhere. */
export function LoginForm({ session }: { session: Session }) {
  useTitle("Log in");
  const cache = useQueryClient();
  const login = useMutation({
    mutationFn: logIn,
    onSuccess: () => cache.resetQueries(),
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const password = new FormData(event.currentTarget).get("password");
    if (typeof password === "string") login.mutate(password);
  };
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form onSubmit={onSubmit} className="w-full max-w-sm space-y-5 rounded-xl border border-line bg-surface p-6">
        <div className="flex items-center gap-3">
          <img src="/ui/icon.svg" alt="" className="size-9" />
          <div>
            <h1 className="text-lg leading-tight font-semibold">VAP</h1>
            <p className="text-xs text-quiet">{`Video analytics, version ${session.version}`}</p>
          </div>
        </div>
        {session.password_login ? (
          <>
            <Field label="Password" hint="The one that the server was started with, VAP_ADMIN_PASSWORD.">
              <input name="password" type="password" required autoFocus autoComplete="current-password" className={INPUT} />
            </Field>
            {login.error && <p role="alert" className="text-sm text-bad">{sentence(login.error.message)}</p>}
            <Button type="submit" look="primary" disabled={login.isPending} className="w-full">
              {login.isPending ? "Logging in…" : "Log in"}
            </Button>
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
