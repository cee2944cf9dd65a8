import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, tempDir, type TempDir } from '../../testkit/index.ts';

const source = (path: string) => pathToFileURL(fileURLToPath(new URL(path, import.meta.url))).href;

const prelude = `
import { runMain, LifecycleGroup } from '${source('./index.ts')}';
import { createLogger } from '${source('../telemetry/index.ts')}';
import { ExitRequest, oaasError } from '${source('../errors/index.ts')}';
import { systemTimers as timers } from '${source('../system/index.ts')}';
const say = (text) => process.stdout.write(text + '\\n');
const alive = () => { const t = setInterval(() => {}, 1000); return () => clearInterval(t); };
`;

let dir: TempDir | undefined;
let child: ChildProcess | undefined;

afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await dir?.remove();
});

/** A real program whose setup is \`body\`. */
async function start(body: string) {
  dir = await tempDir();
  const file = join(dir.path, 'main.mts');
  await writeFile(file, `${prelude}\nrunMain(async (context) => {\n${body}\n});\n`);
  const program = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file], { stdio: 'pipe' });
  child = program;
  const output = { out: '', err: '' };
  program.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  program.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
  const ended = once(program, 'close').then(([code]) => code as number | null);
  return { program, output, ended };
}

describe('runMain', () => {
  it('stops the group on SIGTERM and exits with 0', async () => {
    const { program, output, ended } = await start(`
      const group = new LifecycleGroup({ timers });
      return group.add({ name: 'a', start: () => { alive(); say('ready'); }, stop: () => say('stopped') });
    `);
    await eventually(() => output.out.includes('ready'));
    program.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(output.out).toContain('stopped');
  });

  it('ends at once on the second signal', async () => {
    const { program, output, ended } = await start(`
      const group = new LifecycleGroup({ timers });
      const hang = () => { say('stopping'); return new Promise(() => {}); };
      return group.add({ name: 'a', start: () => { alive(); say('ready'); }, stop: hang, timeoutMs: 60000 });
    `);
    await eventually(() => output.out.includes('ready'));
    program.kill('SIGINT');
    await eventually(() => output.out.includes('stopping'));
    program.kill('SIGINT');
    expect(await ended).toBe(130);
  });

  it('says in one line what is wrong with the configuration, and exits with 78', async () => {
    const { output, ended } = await start(
      `throw oaasError('ConfigInvalid', 'PORT is not a number', { remedy: 'Set PORT.' });`,
    );
    expect(await ended).toBe(78);
    expect(output.err).toBe('error: PORT is not a number\n  Set PORT.\n');
  });

  it('prints what an exit request asks for', async () => {
    const { output, ended } = await start(`throw new ExitRequest(0, 'the help');`);
    expect(await ended).toBe(0);
    expect(output.out).toBe('the help\n');
  });

  it('logs a rejection that nobody waits for, stops the group and exits with 1', async () => {
    const { output, ended } = await start(`
      context.useLogger(createLogger({ service: 'test' }));
      const group = new LifecycleGroup({ timers });
      const start = () => { alive(); setTimeout(() => { void Promise.reject(new Error('forgotten')); }, 1); };
      return group.add({ name: 'a', start, stop: () => say('stopped') });
    `);
    expect(await ended).toBe(1);
    expect(output.out).toContain('"msg":"unhandled promise rejection"');
    expect(output.out).toContain('forgotten');
    expect(output.out).toContain('stopped');
  });

  it('exits with 1 and names the member that did not start', async () => {
    const { output, ended } = await start(`
      const group = new LifecycleGroup({ timers });
      return group.add({ name: 'the server', start: () => { throw oaasError('PortInUse', 'port 1 is taken'); } });
    `);
    expect(await ended).toBe(1);
    expect(output.err).toContain('the server did not start: port 1 is taken');
  });
});
