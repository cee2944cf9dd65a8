import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { caseFiles, replayFile } from './replay.ts';

const own = fileURLToPath(new URL('../../../odgm/src/raft/testdata', import.meta.url));
const others = process.env['OAAS_RAFT_CASES'];

describe('the Raft core does what its own cases say', () => {
  it.each(caseFiles(own).map((file) => [file.slice(own.length + 1), file]))('%s', (_name, file) => {
    const { difference, directives } = replayFile(file);
    expect(difference).toBeUndefined();
    expect(directives).toBeGreaterThan(0);
  });
});

describe('the Raft core does what cases of others say', () => {
  it.skipIf(others === undefined)('those in the folder OAAS_RAFT_CASES (skipped when it is not set)', () => {
    const results = caseFiles(others ?? '').map(replayFile);
    expect(results.flatMap(({ difference }) => difference ?? [])).toEqual([]);
    expect(results.length).toBeGreaterThan(0);
  });
});

describe('the runner', () => {
  const dir = mkdtempSync(join(tmpdir(), 'raft-cases-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  function replay(text: string) {
    const file = join(dir, 'case.txt');
    writeFileSync(file, text);
    return replayFile(file);
  }

  it('names the line, what was expected and what came instead', () => {
    const { difference } = replay('simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=7\n');
    expect(difference).toMatchObject({
      line: 5,
      expected: '1: StateProbe match=0 next=7',
      got: '1: StateProbe match=0 next=1',
    });
  });

  it('names a line that is missing, and one too many', () => {
    expect(replay('vote cfg=(1) votes=(y)\n----\n').difference).toMatchObject({ expected: undefined, got: 'VoteWon' });
    expect(replay('vote cfg=(1) votes=(y)\n----\nVoteWon\nVoteWon\n').difference).toMatchObject({
      line: 4,
      expected: 'VoteWon',
      got: undefined,
    });
  });

  it('names an unknown command, and an unknown argument of a known one', () => {
    expect(replay('add-nodes 1\n----\nok\n\nfrobnicate 1\n----\nok\n').difference).toMatchObject({
      line: 5,
      got: 'Error: unknown command: frobnicate',
    });
    expect(replay('add-nodes 1 colour=red\n----\nok\n').difference?.got).toContain('colour');
  });

  it('does not compare log lines, whatever they say and wherever they stand', () => {
    const nodes = 'add-nodes 1 voters=(1) index=3\n----\n';
    expect(replay(`${nodes}INFO something else entirely\n`).difference).toBeUndefined();
    expect(replay(`${nodes}ok\n`).difference).toBeUndefined();
    expect(replay(`${nodes}fine\n`).difference).toMatchObject({ expected: 'fine' });
    expect(replay('log-level none\n----\nINFO x\n\nadd-nodes 1\n----\n').difference).toMatchObject({
      expected: undefined,
      got: 'ok',
    });
  });

  it('compares output with blank lines that stands between double separators', () => {
    const text =
      '# A comment.\nvote cfg=(1) \\\n  votes=(y)\n----\n----\nVoteWon\n\nmore\n----\n----\n\nvote\n----\nVoteWon\n';
    expect(replay(text).difference).toMatchObject({ line: 7, expected: '', got: undefined });
    expect(replay(text.replace('\n\nmore', '')).difference).toBeUndefined();
  });

  it('tells the kind of a file by its commands, in whatever folder it lies', () => {
    expect(replay('committed cfg=(1) idx=(3)\n----\n     idx\n>      3    (id=1)\n3\n').difference).toBeUndefined();
  });
});
