import { EventEmitter } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { OutputStream } from '../process.ts';

export interface LogQuery {
  readonly follow?: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  readonly timestamps?: boolean;
}

/** A log file that reaches this size becomes `<name>.old`, whose place it takes: a container keeps at most twice this. */
const rotateBytes = 8 * 1024 * 1024;
/** Lines held while the disk is slower than the process; then the oldest are dropped, and a line says how many. */
const pendingMax = 20_000;
/** Longest end of a log that `tailLines` is counted over, in lines. */
const tailMax = 100_000;

/**
 * What one run of a container printed: a file of lines `<time> <stream> <text>`, written in the background, readable
 * while it grows.
 */
export class RunLog {
  readonly path: string;
  /** The last line so far, for messages about a crash. */
  lastLine = '';
  readonly #clock: Clock;
  readonly #news = new EventEmitter().setMaxListeners(0);
  #pending: string[] = [];
  #dropped = 0;
  #flushing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #size = 0;
  #closed = false;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  append(text: string, stream: OutputStream): void {
    if (text.trim() !== '') this.lastLine = text;
    const line = `${toRfc3339(this.#clock.now())} ${stream} ${text}\n`;
    this.#news.emit('line', line.slice(0, -1));
    if (this.#pending.length >= pendingMax) {
      this.#pending.shift();
      this.#dropped += 1;
    }
    this.#pending.push(line);
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** The run is over: what follows the log is told so, and the file is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#flushing;
    await this.#file?.close();
    this.#file = undefined;
    this.#news.emit('end');
  }

  /** The lines of the log; with `follow` also those to come, until the run ends. */
  async read(query: LogQuery): Promise<Readable> {
    // Flushed and then read in one go: the lines that come meanwhile are collected, so that none is lost or doubled.
    const live: string[] = [];
    const collect = (line: string): void => void live.push(line);
    await this.#flushing;
    if (query.follow === true && !this.#closed) this.#news.on('line', collect);
    const stored = await readLines(this.path, query, this.#clock.now());
    if (query.follow !== true || this.#closed) return Readable.from(render(stored, query));

    const output = new Readable({ read: () => undefined });
    const push = (line: string): void => void output.push(renderLine(line, query));
    const end = (): void => void output.push(null);
    for (const line of [...stored, ...live]) push(line);
    this.#news.off('line', collect).on('line', push).once('end', end);
    output.once('close', () => {
      this.#news.off('line', push).off('end', end);
    });
    return output;
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      const lines = this.#pending;
      this.#pending = [];
      if (this.#dropped > 0)
        lines.unshift(`${toRfc3339(this.#clock.now())} stderr (${String(this.#dropped)} lines dropped)\n`);
      this.#dropped = 0;
      try {
        await this.#write(lines.join(''));
      } catch {
        // A full disk must not take the container down; kubectl logs then shows what was kept.
        this.#dropped += lines.length;
        return;
      }
    }
  }

  async #write(text: string): Promise<void> {
    if (this.#size > rotateBytes) {
      await this.#file?.close();
      this.#file = undefined;
      await rename(this.path, `${this.path}.old`);
    }
    if (this.#file === undefined) {
      this.#file = await open(this.path, 'a', 0o600);
      this.#size = (await this.#file.stat()).size;
    }
    await this.#file.write(text);
    this.#size += Buffer.byteLength(text);
  }
}

/** The logs of one container: of its present run and of the one before. */
export class ContainerLogs {
  readonly #folder: string;
  readonly #clock: Clock;
  #current: RunLog | undefined;
  #previous: string | undefined;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Opens the log of run `count` and removes those before the previous one. */
  async startRun(count: number): Promise<RunLog> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const name = (run: number) => join(this.#folder, `${String(run)}.log`);
    this.#previous = count > 0 ? name(count - 1) : undefined;
    const keep = new Set([count, count - 1].flatMap((run) => [`${String(run)}.log`, `${String(run)}.log.old`]));
    for (const file of await readdir(this.#folder)) {
      if (!keep.has(file)) await rm(join(this.#folder, file), { force: true });
    }
    this.#current = new RunLog(name(count), this.#clock);
    return this.#current;
  }

  /** Undefined: there is no such run, or it printed nothing yet. */
  async read(query: LogQuery & { readonly previous?: boolean }): Promise<Readable | undefined> {
    if (query.previous !== true) return this.#current?.read(query);
    if (this.#previous === undefined) return undefined;
    return Readable.from(render(await readLines(this.#previous, query, this.#clock.now()), query));
  }
}

async function readLines(path: string, query: LogQuery, nowMs: number): Promise<string[]> {
  const limit = Math.min(query.tailLines ?? tailMax, tailMax);
  const since = query.sinceSeconds === undefined ? '' : toRfc3339(nowMs - query.sinceSeconds * 1000);
  let lines: string[] = [];
  for (const file of [`${path}.old`, path]) {
    if (!(await exists(file))) continue;
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      if (line < since) continue;
      lines.push(line);
      if (lines.length > 2 * limit + 1000) lines = lines.slice(-limit);
    }
  }
  return limit === 0 ? [] : lines.slice(-limit);
}

function render(lines: readonly string[], query: LogQuery): string[] {
  return lines.map((line) => renderLine(line, query));
}

/** `<time> <stream> <text>` as kubectl shows it: the text, with the time on demand. */
function renderLine(line: string, query: LogQuery): string {
  const [time = '', stream = ''] = line.split(' ', 2);
  const text = line.slice(time.length + stream.length + 2);
  return query.timestamps === true ? `${time} ${text}\n` : `${text}\n`;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
