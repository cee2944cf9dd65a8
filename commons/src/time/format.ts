import { oaasError } from '../errors/index.ts';
import type { Random } from './types.ts';

const dayMs = 86_400_000;

/**
 * `2026-01-31T12:00:00.000Z` for milliseconds since the Unix epoch: UTC, milliseconds always present, so that texts sort
 * as times do. Throws `InvalidArgument` outside the years 0000..9999 of RFC 3339.
 *
 * The date is computed as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days).
 */
export function toRfc3339(ms: number): string {
  const whole = Math.floor(ms);
  const days = Math.floor(whole / dayMs);
  const [year, month, day] = civilFromDays(days);
  if (!Number.isFinite(whole) || year < 0 || year > 9999) {
    throw oaasError('InvalidArgument', `${String(ms)} ms is outside the years that RFC 3339 can write`);
  }
  const inDay = whole - days * dayMs;
  const clock = [inDay / 3_600_000, (inDay / 60_000) % 60, (inDay / 1000) % 60].map((part) => digits(part, 2));
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}T${clock.join(':')}.${digits(inDay % 1000, 3)}Z`;
}

function digits(value: number, width: number): string {
  return String(Math.floor(value)).padStart(width, '0');
}

/** Year, month (1..12) and day (1..31) of a day counted from 1970-01-01. Years begin in March within the 400-year era. */
function civilFromDays(days: number): [number, number, number] {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: dayMs };

/**
 * Milliseconds of a duration such as `500ms`, `15s`, `2m`, `1h`, `1.5s` or `1h30m`. Units: ms, s, m, h, d (24 h).
 * A number without a unit is refused (except `0`), as is anything negative: `InvalidArgument`.
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(trimmed)) {
    throw oaasError('InvalidArgument', `"${text}" is not a duration`, {
      remedy: 'Write a number with a unit, such as 500ms, 15s, 2m or 1h30m.',
    });
  }
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  }
  return total;
}

/** The shortest text that {@link parseDuration} reads back as `ms`, such as `1h30m`. Whole milliseconds, at least 0. */
export function formatDuration(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  if (rest === 0) return '0s';
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms'] as const) {
    const size = unitMs[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${String(count)}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** `count` random bytes as lower-case hexadecimal digits: ids for correlation, nodes, tasks. 16 bytes are unique enough. */
export function randomHex(random: Random, count = 16): string {
  return Array.from(random.bytes(count), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
