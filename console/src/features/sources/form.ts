import { sourceInputSchema, type Source, type SourceInput } from '@oaas/commons/client/pm';
import { z } from 'zod';

const fields = z.object({
  name: z
    .string()
    .refine(
      (text) => sourceInputSchema.shape.name.safeParse(text).success,
      'Lower-case letters, digits and -, at most 63.',
    ),
  url: z
    .url('Write the address with http:// or https://.')
    .regex(/^https?:\/\//, 'Write the address with http:// or https://.'),
  refKind: z.enum(['branch', 'tag', 'commit']),
  refName: z.string().trim().min(1, 'Name the branch, tag or commit.'),
  path: z.string(),
  interval: z.coerce.number<string>().min(1, 'At least 1 s.').max(86_400, 'At most a day.'),
  timeout: z.coerce.number<string>().min(1, 'At least 1 s.').max(600, 'At most 600 s.'),
  prune: z.enum(['keep', 'delete']),
  auth: z.enum(['none', 'basic', 'bearer']),
  username: z.string(),
  secret: z.string(),
  webhookSecret: z.string().refine((text) => text === '' || text.length >= 16, 'At least 16 characters.'),
});

export type SourceFormInput = z.input<typeof fields>;
export type SourceForm = z.output<typeof fields>;

/** The form as a person fills it in: one reference with its kind, secrets that may stay as they are. Null: a new source. */
export function sourceFormSchema(source: Source | null) {
  return fields.superRefine((form, context) => {
    if (form.auth !== 'none' && form.secret === '' && !keepsSecret(source, form)) {
      const word = form.auth === 'basic' ? 'password' : 'token';
      const again = 'it is kept only while the server and the user stay the same.';
      const message = source === null ? `Enter the ${word}.` : `Enter the ${word} again: ${again}`;
      context.addIssue({ code: 'custom', path: ['secret'], message });
    }
    if (form.auth === 'basic' && form.username === '') {
      context.addIssue({ code: 'custom', path: ['username'], message: 'Enter the user name.' });
    }
  });
}

/** Whether PM has a secret for what the form says, so that none need be entered. */
export function keepsSecret(source: Source | null, form: Pick<SourceForm, 'auth' | 'url' | 'username'>): boolean {
  if (source === null || form.auth === 'none' || form.auth !== source.auth_type) return false;
  const isSameUser = form.auth === 'bearer' || form.username === source.auth_username;
  return isSameUser && originOf(form.url) === originOf(source.url);
}

function originOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).origin : null;
}

export function emptyForm(source: Source | null): SourceFormInput {
  const ref = source?.ref ?? { branch: 'main' };
  const [refKind, refName] =
    ref.tag !== undefined
      ? (['tag', ref.tag] as const)
      : ref.commit !== undefined
        ? (['commit', ref.commit] as const)
        : (['branch', ref.branch ?? 'main'] as const);
  return {
    name: source?.name ?? '',
    url: source?.url ?? '',
    refKind,
    refName,
    path: source?.path ?? '',
    interval: String(source?.interval_seconds ?? 15),
    timeout: String(source?.timeout_seconds ?? 30),
    prune: source?.prune ?? 'keep',
    auth: source?.auth_type ?? 'none',
    username: source?.auth_username ?? '',
    secret: '',
    webhookSecret: '',
  };
}

/** What PM takes for a filled-in form. */
export function toSourceInput(form: SourceForm): SourceInput {
  const auth: SourceInput['auth'] =
    form.auth === 'basic'
      ? { type: 'basic', username: form.username, ...(form.secret === '' ? {} : { password: form.secret }) }
      : form.auth === 'bearer'
        ? { type: 'bearer', ...(form.secret === '' ? {} : { token: form.secret }) }
        : { type: 'none' };
  return sourceInputSchema.parse({
    name: form.name,
    url: form.url,
    ref: { [form.refKind]: form.refName },
    path: form.path,
    interval_seconds: form.interval,
    timeout_seconds: form.timeout,
    prune: form.prune,
    auth,
    ...(form.webhookSecret === '' ? {} : { webhook_secret: form.webhookSecret }),
  });
}
