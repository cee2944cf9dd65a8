import type { Accepted, Refusal, RefusalCode } from './commands.ts';

export function accepted(rest: Partial<Omit<Accepted, 'ok'>> = {}): Accepted {
  return { ok: true, changed: true, ...rest };
}

export function unchanged(rest: Partial<Omit<Accepted, 'ok' | 'changed'>> = {}): Accepted {
  return { ok: true, changed: false, ...rest };
}

export function refused(code: RefusalCode, message: string, epoch?: number): Refusal {
  return epoch === undefined ? { ok: false, code, message } : { ok: false, code, message, epoch };
}
