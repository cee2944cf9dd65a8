import { describe, expect, it } from 'vitest';
import { parseFlags } from './flags.ts';

const refusal = (...argv: string[]): string => {
  try {
    parseFlags(argv);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
};

describe('the flags of a grid', () => {
  it('take several collections with their options', () => {
    const { collections } = parseFlags([
      '--collection',
      'name=a,type=raft,partitions=8,replicas=3,maxValueBytes=1024',
      '--collection',
      'name=b,type=basic,replicas=1,durability=ephemeral',
    ]);
    expect(collections).toEqual([
      {
        name: 'a',
        shardType: 'raft',
        partitionCount: 8,
        replicaCount: 3,
        durability: 'persistent',
        options: { maxValueBytes: '1024' },
      },
      { name: 'b', shardType: 'basic', partitionCount: 4, replicaCount: 1, durability: 'ephemeral', options: {} },
    ]);
  });

  it('ask for three nodes with one collection when nothing is said, and leave its type to the grid', () => {
    const { nodes, collections, restart } = parseFlags([]);
    expect([nodes, collections, restart]).toEqual([
      3,
      [{ name: 'default', partitionCount: 4, replicaCount: 3, durability: 'persistent', options: {} }],
      'always',
    ]);
  });

  it('are refused by name', () => {
    expect(refusal('--nodes', 'many')).toContain('--nodes many');
    expect(refusal('--collection', 'type=raft')).toContain('needs name=');
    expect(refusal('--collection', 'name=a,type=paxos')).toContain('raft, basic, mst');
    expect(refusal('--collection', 'name=a,partitions=0')).toContain('partitions 0');
    expect(refusal('--collection', 'name=a', '--collection', 'name=a')).toContain('names a twice');
    expect(refusal('--collection', 'name=a,typ=raft')).toContain(
      'no option "typ" (given as "raft"); did you mean "type"?',
    );
    expect(refusal('--collection', 'name=a,partions=2')).toContain('did you mean "partitions"?');
    expect(refusal('--collection', 'name=a,maxValueByte=5')).toContain('did you mean "maxValueBytes"?');
    expect(refusal('--collection', 'nam=a')).toContain('did you mean "name"?');
    expect(refusal('--collection', 'name=a,maxValueBytes=lots')).toContain(
      'cannot be "lots". Give maxValueBytes a whole',
    );
    expect(refusal('--restart', 'sometimes')).toContain('neither always nor never');
    expect(refusal('--env', '=x')).toContain('NAME=VALUE');
  });
});
