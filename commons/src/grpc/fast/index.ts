import type { Pen } from './pen.ts';
import type { Scanner } from './scanner.ts';

export { Pen } from './pen.ts';
export { Scanner } from './scanner.ts';

/**
 * The codec of a type by hand, for messages of which there are very many. It does the usual cases and leaves the others to
 * the generated code, so that the two never differ. Keeps no state of its own.
 */
export interface FastCodec {
  /** Writes what `encode(fromPartial(message))` would. False: it is not usual; what was written is dropped. */
  write(pen: Pen, message: never): boolean;
  /** Reads what `decode` would of the bytes up to `end`, or has the scanner give up. */
  read(scanner: Scanner, end: number): unknown;
}
