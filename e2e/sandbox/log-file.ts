import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** At this size a file becomes `<name>.old`: one program keeps at most twice this. */
const rotateBytes = 10 * 1024 * 1024;

/** A log file with a bound. Lines are few and written at once, so that a crash loses none. */
export class LogFile {
  readonly path: string;
  /** The newest lines, for a message about what went wrong. */
  readonly tail: string[] = [];
  #file: number | undefined;
  #size = 0;

  constructor(path: string) {
    this.path = path;
  }

  write(text: string): void {
    this.tail.push(text.trimEnd());
    if (this.tail.length > 20) this.tail.shift();
    try {
      this.#append(text);
    } catch {
      // A full disk stops the log, not what is logged.
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #append(text: string): void {
    if (this.#size > rotateBytes) {
      this.close();
      renameSync(this.path, `${this.path}.old`);
    }
    if (this.#file === undefined) {
      this.#file = openSync(this.path, 'a', 0o600);
      this.#size = fstatSync(this.#file).size;
    }
    this.#size += writeSync(this.#file, text);
  }
}
