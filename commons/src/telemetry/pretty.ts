import type { DestinationStream } from 'pino';

/** Fields that the line's own layout shows, or that say nothing to a person. */
const shown = new Set(['level', 'time', 'service', 'msg', 'err', 'correlation_id']);

/** Rewrites pino's JSON lines for a terminal: `12:00:00.000 INFO  service: message key=value`. */
export function prettyStream(sink: DestinationStream): DestinationStream {
  return {
    write(line) {
      sink.write(`${prettyLine(line)}\n`);
    },
  };
}

function prettyLine(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line.trimEnd();
  }
  const fields = Object.entries(entry)
    .filter(([key]) => !shown.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const level = text(entry['level']).toUpperCase().padEnd(5);
  return `${text(entry['time']).slice(11, 23)} ${level} ${text(entry['service'])}: ${text(entry['msg'])}${fields.join('')}${errorText(entry['err'])}`;
}

function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  return `\n  ${text(stack ?? message).replaceAll('\n', '\n  ')}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
