import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A clone of the sandbox's repository, worked with by the real git as a user would. */
export class Repository {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async clone(url: string): Promise<Repository> {
    const repository = new Repository(mkdtempSync(path.join(tmpdir(), 'oaas-e2e-')));
    await run('git', ['clone', '--quiet', url, repository.dir]);
    await repository.git('config', 'user.name', 'Ada');
    await repository.git('config', 'user.email', 'ada@example.org');
    return repository;
  }

  async git(...args: string[]): Promise<string> {
    return (await run('git', args, { cwd: this.dir })).stdout.trim();
  }

  read(file: string): string {
    return readFileSync(path.join(this.dir, file), 'utf8');
  }

  write(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(this.dir, file)), { recursive: true });
    writeFileSync(path.join(this.dir, file), text);
  }

  copy(from: string, to: string, files: readonly string[]): void {
    for (const file of files) cpSync(path.join(from, file), path.join(this.dir, to, file));
  }

  /** Commits everything and pushes. Returns the commit's id. */
  async push(message: string): Promise<string> {
    await this.git('add', '--all');
    await this.git('commit', '--quiet', '-m', message);
    await this.git('push', '--quiet');
    return this.git('rev-parse', 'HEAD');
  }

  /** Undoes the newest commit by another one, and pushes. Returns the new commit's id. */
  async revert(): Promise<string> {
    await this.git('revert', '--no-edit', 'HEAD');
    await this.git('push', '--quiet');
    return this.git('rev-parse', 'HEAD');
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
