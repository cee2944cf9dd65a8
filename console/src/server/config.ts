import { createHash } from 'node:crypto';
import { oaasError } from '@oaas/commons/errors';

export interface ConsoleConfig {
  /** Where PM listens, without a slash at the end. */
  readonly pmUrl: string;
  /** Bearer token that the console presents to PM. It never reaches a browser. */
  readonly pmToken: string;
  /** Password of the user `admin`. */
  readonly password: string;
  /** 32 bytes: the key of the session cookie. */
  readonly cookieKey: Uint8Array;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the console's configuration. Throws `ConfigInvalid` naming the variable; values are never part of the message. */
export function parseConfig(env: Environment): ConsoleConfig {
  const pmUrl = required(env, 'OAAS_PM_URL').replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]+/.test(pmUrl)) throw invalid('OAAS_PM_URL', 'is not an http or https URL');
  const secret = required(env, 'OAAS_CONSOLE_SECRET');
  if (secret.length < 32) throw invalid('OAAS_CONSOLE_SECRET', 'is shorter than 32 characters');
  return {
    pmUrl,
    pmToken: required(env, 'OAAS_PM_TOKEN'),
    password: required(env, 'OAAS_CONSOLE_PASSWORD'),
    // Hashed, so that hexadecimal, base64 and plain text of any length all give 32 bytes.
    cookieKey: createHash('sha256').update(secret).digest(),
  };
}

/** {@link parseConfig} over the process's own environment. */
export function readConfig(): ConsoleConfig {
  return parseConfig(process.env);
}

function required(env: Environment, name: string): string {
  const value = env[name]?.trim();
  if (value === undefined || value === '') throw invalid(name, 'is not set');
  return value;
}

function invalid(name: string, what: string): Error {
  return oaasError('ConfigInvalid', `${name} ${what}`, { remedy: `Set ${name} in the console's environment.` });
}
