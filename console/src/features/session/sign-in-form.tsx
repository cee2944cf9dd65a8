'use client';

import { zodResolver } from '@hookform/resolvers/zod';
import { problemDocumentSchema } from '@oaas/commons/client/pm';
import { useState } from 'react';
import { useForm } from 'react-hook-form';
import { z } from 'zod';
import { Button } from '../../ui/button.tsx';
import { Field, Input } from '../../ui/field.tsx';
import { Glyph } from '../../ui/status.tsx';

const schema = z.object({
  user: z.string().min(1, 'Enter the user name.'),
  password: z.string().min(1, 'Enter the password.'),
});

export function SignInForm({ next }: { readonly next: string }) {
  const [refusal, setRefusal] = useState<string | null>(null);
  const { register, handleSubmit, formState, setFocus } = useForm({
    resolver: zodResolver(schema),
    defaultValues: { user: 'admin', password: '' },
  });
  const submit = handleSubmit(async (values) => {
    setRefusal(null);
    const answer = await send(values);
    if (answer === null) {
      // A whole page load: nothing of the signed-out page stays behind.
      window.location.assign(next);
      await new Promise(() => undefined);
    } else {
      setRefusal(answer);
      setFocus('password', { shouldSelect: true });
    }
  });
  return (
    <form method="post" onSubmit={(event) => void submit(event)} className="flex flex-col gap-4" noValidate>
      <Field label="User" error={formState.errors.user?.message}>
        {(ids) => <Input {...ids} autoComplete="username" className="h-9" {...register('user')} />}
      </Field>
      <Field label="Password" error={formState.errors.password?.message}>
        {(ids) => (
          <Input
            {...ids}
            type="password"
            autoComplete="current-password"
            autoFocus
            className="h-9"
            {...register('password')}
          />
        )}
      </Field>
      {refusal === null ? null : (
        <p role="alert" className="flex items-start gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad">
          <Glyph tone="bad" className="mt-0.5" />
          {refusal}
        </p>
      )}
      <Button type="submit" kind="primary" className="h-9" busy={formState.isSubmitting}>
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
