/**
 * The code of RFC 7541 Appendix B. It is canonical: within a length, codes rise with the symbol, and each length goes on
 * where the shorter one ended. So the symbols of each length say it all. 256 is EOS.
 */
const symbolsByLength: readonly (readonly [bits: number, symbols: string | readonly number[]])[] = [
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
  [13, '\0$@[]~'],
  [14, '^}'],
  [15, '<`{'],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198,
      228, 232, 233,
    ],
  ],
  [
    23,
    [
      1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182,
      183, 188, 191, 197, 231, 239,
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]],
  [
    28,
    [2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249],
  ],
  [30, [10, 13, 22, 256]],
];

const eos = 256;
const codes = new Uint32Array(257);
const lengths = new Uint8Array(257);

/**
 * The decoder reads four bits at a time. A state is an inner node of the code tree; `steps[state * 16 + nibble]` holds
 * the next state in bits 0-8, the symbol in bits 9-16, whether there is one in bit 17, and failure (EOS) in bit 18.
 */
const steps = new Int32Array(257 * 16);
/** 1 where the input may end: at the root, or after at most 7 one-bits of padding (RFC 7541 §5.2). */
const mayEnd = new Uint8Array(257);
const hasSymbol = 1 << 17;
const failure = 1 << 18;

function buildCodes(): void {
  let code = 0;
  let previous = 0;
  for (const [bits, symbols] of symbolsByLength) {
    code <<= bits - previous;
    previous = bits;
    for (const symbol of typeof symbols === 'string' ? Array.from(symbols, (c) => c.charCodeAt(0)) : symbols) {
      codes[symbol] = code++;
      lengths[symbol] = bits;
    }
  }
}

function buildSteps(): void {
  /** Children of node n at 2n and 2n + 1: 0 is absent, positive an inner node, negative -(symbol + 1). */
  const children = new Int32Array(257 * 2);
  let nodes = 1;
  for (let symbol = 0; symbol <= eos; symbol += 1) {
    const length = lengths[symbol] as number;
    const code = codes[symbol] as number;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit -= 1) {
      const at = node * 2 + ((code >>> bit) & 1);
      if (children[at] === 0) children[at] = nodes++;
      node = children[at] as number;
    }
    children[node * 2 + (code & 1)] = -(symbol + 1);
  }
  for (let node = 0; node < nodes; node += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let at = node;
      let result = 0;
      for (let bit = 3; bit >= 0; bit -= 1) {
        const next = children[at * 2 + ((nibble >>> bit) & 1)] as number;
        if (next >= 0) {
          at = next;
          continue;
        }
        result |= next === -(eos + 1) ? failure : hasSymbol | ((-next - 1) << 9);
        at = 0;
      }
      steps[node * 16 + nibble] = result | at;
    }
  }
  for (let node = 0, depth = 0; depth <= 7; depth += 1) {
    mayEnd[node] = 1;
    node = children[node * 2 + 1] as number;
  }
}

buildCodes();
buildSteps();

/**
 * Decodes `bytes[start, end)` into `into` from its start, which must have room for 8/5 of the input.
 * Returns the length, or -1 for EOS inside or for padding that is wrong or longer than 7 bits.
 */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i] as number;
    const high = steps[(state << 4) | (byte >>> 4)] as number;
    if ((high & hasSymbol) !== 0) into[length++] = high >>> 9;
    const low = steps[((high & 0x1ff) << 4) | (byte & 15)] as number;
    if ((low & hasSymbol) !== 0) into[length++] = low >>> 9;
    if (((high | low) & failure) !== 0) return -1;
    state = low & 0x1ff;
  }
  return mayEnd[state] === 1 ? length : -1;
}

/** Bytes that {@link huffmanEncode} would write. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += lengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** Writes the code of `text` (one octet per character) at `into[at]`; returns where it ended. */
export function huffmanEncode(text: string, into: Uint8Array, at: number): number {
  let held = 0;
  let bits = 0;
  let pos = at;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = text.charCodeAt(i) & 0xff;
    const length = lengths[symbol] as number;
    let code = codes[symbol] as number;
    let rest = length;
    // Never more than 7 bits are held, so pieces of up to 24 bits keep within 31.
    if (rest > 24) {
      held = (held << (rest - 24)) | (code >>> 24);
      bits += rest - 24;
      code &= 0xffffff;
      rest = 24;
      while (bits >= 8) into[pos++] = held >>> (bits -= 8);
      held &= (1 << bits) - 1;
    }
    held = (held << rest) | code;
    bits += rest;
    while (bits >= 8) into[pos++] = held >>> (bits -= 8);
    held &= (1 << bits) - 1;
  }
  if (bits > 0) into[pos++] = (held << (8 - bits)) | (0xff >>> bits);
  return pos;
}
