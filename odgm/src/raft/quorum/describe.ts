/** Ids in hexadecimal, as etcd/raft prints sets of them: `(1 2 a)`. */
export function describeIds(ids: readonly number[]): string {
  return `(${ids.map((id) => id.toString(16)).join(' ')})`;
}

/** An index; that of an empty set of voters is infinite. */
export function describeIndex(index: number): string {
  return index === Infinity ? '∞' : String(index);
}

/**
 * One line per voter with a bar that grows with the number of voters whose index is smaller (voters at the same index have bars of the same
 * length), or `?` for a voter that was not heard of.
 */
export function describeAcked(voters: readonly number[], acked: (id: number) => number | undefined): string {
  const count = voters.length;
  if (count === 0) return '<empty majority quorum>';
  const indexes = voters.map((id) => acked(id) ?? 0);
  let text = `${' '.repeat(count)}    idx\n`;
  voters.forEach((id, position) => {
    const index = indexes[position] ?? 0;
    const bar = indexes.filter((other) => other < index).length;
    text += acked(id) === undefined ? `?${' '.repeat(count)}` : `${'x'.repeat(bar)}>${' '.repeat(count - bar)}`;
    text += ` ${String(index).padStart(5)}    (id=${id.toString(16)})\n`;
  });
  return text;
}
