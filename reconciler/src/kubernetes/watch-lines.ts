/** Longest line of a watch: an object of etcd's limit (1.5 MiB) with room. A longer one ends the watch. */
const lineLengthMax = 16 * 1024 * 1024;

/** The lines of a stream of UTF-8 bytes, without their ends. Throws a RangeError for a line that is too long. */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const text = rest + decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      if (end > start) yield text.slice(start, end);
      start = end + 1;
    }
    rest = text.slice(start);
    if (rest.length > lineLengthMax) throw new RangeError('a line of the watch is too long');
  }
  if (rest.trim() !== '') yield rest;
}
