import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endOrphans, processStart, ProcessList } from './orphans.ts';
import { endProcess, startProcess } from './process.ts';
import { ambient, tether } from './testkit/cluster.ts';

let temp: TempDir;
beforeEach(async () => {
  temp = await tempDir();
});
afterEach(() => temp.remove());

function start(source: string, lines: string[] = [], flags: readonly string[] = []) {
  return startProcess({
    command: [process.execPath, ...flags, '-e', source],
    env: {},
    cwd: temp.path,
    onLine: (line) => lines.push(line),
  });
}

describe('a process', () => {
  it('tells its lines, also the last one without an end, and its exit code', async () => {
    const lines: string[] = [];
    const exit = await start(`process.stdout.write('one\\ntwo'); process.exitCode = 7`, lines).exited;
    expect(exit).toEqual({ code: 7 });
    expect(lines).toEqual(['one', 'two']);
  });

  it('that cannot be started says why', async () => {
    const running = startProcess({ command: ['/no/such/program'], env: {}, cwd: temp.path, onLine: () => undefined });
    expect(await running.exited).toMatchObject({ code: 128, startError: expect.stringContaining('ENOENT') as string });
  });

  it('that ignores SIGTERM is killed after its grace, together with what it has started', async () => {
    const lines: string[] = [];
    const running = start(
      `process.on('SIGTERM', () => {});
       const child = require('child_process').spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)'], { stdio: 'inherit' });
       console.log(child.pid);
       setInterval(() => {}, 1000);`,
      lines,
    );
    await eventually(() => lines.includes('up'));
    const exit = await endProcess(running, 200);
    expect(exit).toEqual({ code: 137, signal: 'SIGKILL' });
    const grandchild = Number(lines.find((line) => line !== 'up'));
    await eventually(() => processStart(grandchild) === undefined);
  });

  it('ends when the process that started it is killed', async () => {
    const file = join(temp.path, 'pid');
    const starter = spawn(process.execPath, [
      '-e',
      `const child = require('child_process').spawn(process.execPath, ['--require', ${JSON.stringify(tether)}, '-e', 'setInterval(() => {}, 1000)'],
         { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], detached: true, env: { OAAS_SANDBOX_TETHER: '3' } });
       require('fs').writeFileSync(${JSON.stringify(file)}, String(child.pid));
       setInterval(() => {}, 1000);`,
    ]);
    await eventually(() => existsSync(file));
    const { readFileSync } = await import('node:fs');
    const pid = await eventually(() => Number(readFileSync(file, 'utf8')) || false);
    expect(processStart(pid)).toBeDefined();
    starter.kill('SIGKILL');
    await eventually(() => processStart(pid) === undefined);
  });
});

describe('processes that a killed sandbox has left behind', () => {
  it('are ended by the next one, and a stranger with the same id is left alone', async () => {
    const file = join(temp.path, 'processes');
    const orphan = start(`setInterval(() => {}, 1000)`);
    const list = new ProcessList(file);
    list.add(orphan.pid ?? 0);
    const stranger = start(`setInterval(() => {}, 1000)`);
    const text = `${String(orphan.pid)} ${processStart(orphan.pid ?? 0) ?? ''}\n${String(stranger.pid)} 1\n`;
    await writeFile(file, text);
    expect(await endOrphans(file, ambient.timers)).toBe(1);
    expect((await orphan.exited).signal).toBe('SIGTERM');
    expect(existsSync(file)).toBe(false);
    expect(processStart(stranger.pid ?? 0)).toBeDefined();
    await endProcess(stranger, 1000);
  });
});
