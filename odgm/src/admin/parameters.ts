import { oaasError } from '@oaas/commons/errors';

/** Query parameters by name. Throws `InvalidArgument` for one that is given twice, or is not among `known` where that is given. */
export function parametersOf(query: unknown, known?: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of Object.entries(query as Record<string, unknown>)) {
    if (typeof value !== 'string') {
      throw oaasError('InvalidArgument', `parameter ${name} is given twice`, { remedy: 'Give it once.' });
    }
    if (known?.includes(name) === false) {
      throw oaasError('InvalidArgument', `there is no parameter "${name}"`, {
        remedy: known.length === 0 ? 'Leave it out.' : `Use one of ${known.join(', ')}.`,
      });
    }
    parameters[name] = value;
  }
  return parameters;
}

/** Absent is false. Throws `InvalidArgument`: what is neither true nor false must not be taken for one of them. */
export function flagOf(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw oaasError('InvalidArgument', `parameter ${name} is "${text}"`, { remedy: 'Use true or false.' });
}

/** A whole number of at least 0. Throws `InvalidArgument`. */
export function wholeOf(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw oaasError('InvalidArgument', `parameter ${name} is "${text}"`, {
    remedy: 'Give a whole number of at least 0.',
  });
}

/** The same for a record of a call, whatever it was. */
export function readable(query: unknown): Record<string, string> {
  const pairs = Object.entries(query as Record<string, unknown>);
  return Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]));
}
