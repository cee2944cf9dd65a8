const integer = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

/** `12,345`. */
export function formatCount(value: number): string {
  return integer.format(value);
}

/** `12,345` below a hundred thousand, `1.2M` above. */
export function formatCompact(value: number): string {
  return Math.abs(value) < 100_000 ? integer.format(value) : compact.format(value);
}

/** Powers of 1024: `0 B`, `1.4 KiB`, `12 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? integer.format(value) : decimal.format(value)} ${units[unit] ?? ''}`;
}

/** `420 ms`, `1.3 s`, `2 min 5 s`, `3 h 12 min`, `5 d 3 h`. */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${integer.format(Math.max(0, ms))} ms`;
  if (ms < 60_000) return `${decimal.format(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  if (seconds < 86_400) return pair(Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'min');
  return pair(Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3600), 'h');
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** How long ago, coarse: `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`; `in 12 s` for what is still to come. */
export function formatAge(thenMs: number, nowMs: number): string {
  const ms = nowMs - thenMs;
  const seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 1) return 'now';
  const text =
    seconds < 60
      ? `${seconds} s`
      : seconds < 3600
        ? `${Math.floor(seconds / 60)} min`
        : seconds < 86_400
          ? `${Math.floor(seconds / 3600)} h`
          : `${Math.floor(seconds / 86_400)} d`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

/** `3 shards`, `1 shard`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `97.5 %` of a part between 0 and 1. */
export function formatPercent(part: number): string {
  return `${new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 }).format(part * 100)} %`;
}
