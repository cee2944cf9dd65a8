import { describe, expect, it } from 'vitest';
import { lines } from './watch-lines.ts';

async function read(...chunks: Uint8Array[]): Promise<string[]> {
  const found: string[] = [];
  async function* stream() {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  }
  for await (const line of lines(stream())) found.push(line);
  return found;
}

describe('lines', () => {
  it('are found wherever the bytes are cut, in the middle of a character too', async () => {
    const bytes = new TextEncoder().encode('{"a":"ä€😀"}\n\n{"b":2}\n{"c":3}');
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(await read(bytes.slice(0, cut), bytes.slice(cut))).toEqual(['{"a":"ä€😀"}', '{"b":2}', '{"c":3}']);
    }
  });
});
