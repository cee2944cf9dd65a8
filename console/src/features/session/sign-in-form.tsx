'use client';

import { problemDocumentSchema } from '@oaas/commons/client/pm';
import { useRef, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Field, Input } from '../../ui/field.tsx';
import { Glyph } from '../../ui/status.tsx';
import { refusalText } from './refusal.ts';

interface Missing {
  readonly user?: string;
  readonly password?: string;
}

/**
 * A form that the browser can send by itself: whoever is faster than the page's scripts, or has none, signs in all the same.
 * The inputs belong to the browser, so what was typed before the scripts ran stays.
 */
export function SignInForm({ next, refused }: { readonly next: string; readonly refused: string | null }) {
  const [refusal, setRefusal] = useState(refusalText(refused));
  const [missing, setMissing] = useState<Missing>({});
  const [busy, setBusy] = useState(false);
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);

  const submit = async () => {
    const given = { user: user.current?.value ?? '', password: password.current?.value ?? '' };
    setRefusal(null);
    setMissing({
      ...(given.user === '' ? { user: 'Enter the user name.' } : {}),
      ...(given.password === '' ? { password: 'Enter the password.' } : {}),
    });
    if (given.user === '') return user.current?.focus();
    if (given.password === '') return password.current?.focus();
    setBusy(true);
    const answer = await send(given);
    if (answer === null) {
      // A whole page load: nothing of the signed-out page stays behind.
      window.location.assign(next);
      return;
    }
    setBusy(false);
    setRefusal(answer);
    password.current?.select();
  };

  return (
    <form
      method="post"
      action="/api/session"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
      className="flex flex-col gap-4"
      noValidate
    >
      <input type="hidden" name="next" value={next} />
      <Field label="User" error={missing.user}>
        {(ids) => (
          <Input {...ids} ref={user} name="user" defaultValue="admin" autoComplete="username" className="h-9" />
        )}
      </Field>
      <Field label="Password" error={missing.password}>
        {(ids) => (
          <Input
            {...ids}
            ref={password}
            name="password"
            type="password"
            autoComplete="current-password"
            autoFocus
            className="h-9"
          />
        )}
      </Field>
      {refusal === null ? null : (
        <p role="alert" className="flex items-start gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad">
          <Glyph tone="bad" className="mt-0.5" />
          {refusal}
        </p>
      )}
      <Button type="submit" kind="primary" className="h-9" busy={busy}>
        Sign in
      </Button>
    </form>
  );
}

/** Null when signed in; otherwise why not. */
async function send(credentials: { user: string; password: string }): Promise<string | null> {
  try {
    const response = await fetch('/api/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(credentials),
    });
    if (response.ok) return null;
    const problem = problemDocumentSchema.safeParse(await response.json());
    if (!problem.success) return `The console answered with status ${response.status}.`;
    const { code, detail, title, remedy } = problem.data;
    return code === 'ResourceExhausted' ? `${detail ?? title} ${remedy ?? ''}` : (detail ?? title);
  } catch {
    return 'The console does not answer. Check the connection, then try again.';
  }
}
