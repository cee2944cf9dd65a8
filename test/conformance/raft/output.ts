import type { RaftLogger } from '@oaas/odgm/raft';

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const;
const none = levels.length - 1;

/** What a directive prints: its own text and the core's log lines. At level NONE nothing is kept. */
export class Output implements RaftLogger {
  text = '';
  #level = 0;

  get quiet(): boolean {
    return this.#level === none;
  }

  get level(): number {
    return this.#level;
  }

  /** False if there is no such level. */
  setLevel(level: string | number): boolean {
    const index = typeof level === 'number' ? level : levels.findIndex((name) => name === level.toUpperCase());
    if (index < 0) return false;
    this.#level = index;
    return true;
  }

  /** What went wrong in naming a level. */
  static get levelsText(): string {
    return `log levels must be either of [${levels.join(' ')}]`;
  }

  write(text: string): void {
    if (!this.quiet) this.text += text;
  }

  /** What `run` prints is indented by two spaces. */
  indented(run: () => void): void {
    const before = this.text;
    this.text = '';
    try {
      run();
    } finally {
      const lines = this.text === '' ? [] : this.text.replace(/\n$/, '').split('\n');
      this.text = before + lines.map((line) => `  ${line}\n`).join('');
    }
  }

  debug(fields: object, message: string): void {
    this.#log(0, fields, message);
  }

  info(fields: object, message: string): void {
    this.#log(1, fields, message);
  }

  warn(fields: object, message: string): void {
    this.#log(2, fields, message);
  }

  error(fields: object, message: string): void {
    this.#log(3, fields, message);
  }

  #log(level: number, fields: object, message: string): void {
    if (level < this.#level) return;
    const facts = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
    this.text += `${levels[level] ?? ''} ${message}${facts.join('')}\n`;
  }
}
