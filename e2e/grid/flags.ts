import { parseArgs } from 'node:util';
import { collectionOptionProblems, collectionOptionsHelp } from '@oaas/commons/config';
import { oaasError } from '@oaas/commons/errors';

/** A collection in the form of ODGM_COLLECTION. */
export interface GridCollection {
  readonly name: string;
  /** Absent: the grid chooses by the number of replicas. */
  readonly shardType?: string | undefined;
  readonly partitionCount: number;
  readonly replicaCount: number;
  readonly durability: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface GridFlags {
  readonly nodes: number;
  /** Folder of everything that the grid keeps. */
  readonly dir: string;
  /** Node i (from 0) has this port + 2i for gRPC and the next one for the admin API. */
  readonly portBase: number;
  readonly collections: readonly GridCollection[];
  /** Whether a node that ended is started again. */
  readonly restart: 'always' | 'never';
  /** Zone of each node, in turn; empty: none. */
  readonly zones: readonly string[];
  /** Further variables of every node, such as ODGM_LOG. */
  readonly env: Readonly<Record<string, string>>;
  readonly fresh: boolean;
  readonly help: boolean;
}

const nodesMax = 64;
const shardTypes = ['raft', 'basic', 'mst'];
const durabilities = ['persistent', 'ephemeral'];
/** Keys of --collection that are no options. */
const collectionKeys = ['name', 'type', 'partitions', 'replicas', 'durability'];

export const usage = `npm run grid -- [flags]        a data grid of real processes on this machine, without PM and CRM

  --nodes N                 nodes (default 3, at most ${String(nodesMax)})
  --dir DIR                 where everything is kept (default .grid)
  --port-base P             first port (default 7800): node i has P + 2i for gRPC and P + 2i + 1 for the admin API
  --collection SPEC         name=N[,type=raft|basic|mst][,partitions=P][,replicas=R][,durability=persistent|ephemeral]
                            [,<option>=<value> ...]; may be given more than once
                            (default name=default,partitions=4,replicas=3; type by replicas: one basic, more raft)
                            options are ${collectionOptionsHelp.join(',\n                            ')}
  --restart always|never    whether a node that ends is started again (default always)
  --zones A,B,...           zones of the nodes, in turn
  --env NAME=VALUE          a variable for every node; may be given more than once
  --fresh                   begin anew: removes what DIR holds, if it is a grid
  --help                    this text

DIR/ready.json lists the nodes that run and are ready: {nodes: [{id, pid, grpc, http}]}.`;

/** Reads the command line. Throws `ConfigInvalid` with what is wrong in one sentence. */
export function parseFlags(argv: readonly string[]): GridFlags {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        nodes: { type: 'string', default: '3' },
        dir: { type: 'string', default: '.grid' },
        'port-base': { type: 'string', default: '7800' },
        collection: { type: 'string', multiple: true, default: [] },
        restart: { type: 'string', default: 'always' },
        zones: { type: 'string', default: '' },
        env: { type: 'string', multiple: true, default: [] },
        fresh: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
      allowPositionals: false,
    }));
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  const { restart } = values;
  if (restart !== 'always' && restart !== 'never') throw wrong(`--restart ${restart} is neither always nor never.`);
  if (values.dir === '') throw wrong('--dir needs the name of a folder.');
  const specs = values.collection.length === 0 ? ['name=default'] : values.collection;
  const collections = specs.map(parseCollection);
  const names = collections.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`--collection names ${twice} twice.`);
  return {
    nodes: whole('--nodes', values.nodes, 1, nodesMax),
    dir: values.dir,
    portBase: whole('--port-base', values['port-base'], 1024, 65_535 - 2 * nodesMax),
    collections,
    restart,
    zones: values.zones === '' ? [] : values.zones.split(','),
    env: Object.fromEntries(values.env.map(parseVariable)),
    fresh: values.fresh,
    help: values.help,
  };
}

function parseCollection(text: string): GridCollection {
  const parts = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, key = '', value = ''] = /^([^=]+)=(.+)$/.exec(part) ?? [];
    if (key === '') throw wrong(`--collection ${text}: "${part}" is not of the form key=value.`);
    if (parts.has(key)) throw wrong(`--collection ${text} gives ${key} twice.`);
    parts.set(key, value);
  }
  const [problem] = collectionOptionProblems(Object.fromEntries(parts), collectionKeys);
  if (problem !== undefined) throw wrong(`--collection ${text}: ${problem.message}. ${problem.remedy}`);
  const take = (key: string, fallback: string): string => {
    const value = parts.get(key) ?? fallback;
    parts.delete(key);
    return value;
  };
  const oneOf = (key: string, known: readonly string[], fallback: string): string => {
    const value = take(key, fallback);
    if (!known.includes(value)) throw wrong(`--collection ${text}: ${key} is one of ${known.join(', ')}.`);
    return value;
  };
  const name = take('name', '');
  if (name === '') throw wrong(`--collection ${text} needs name=N.`);
  return {
    name,
    ...(parts.has('type') ? { shardType: oneOf('type', shardTypes, '') } : {}),
    partitionCount: whole('partitions', take('partitions', '4'), 1, 65_536),
    replicaCount: whole('replicas', take('replicas', '3'), 1, 9),
    durability: oneOf('durability', durabilities, 'persistent'),
    options: Object.fromEntries(parts),
  };
}

function parseVariable(text: string): [string, string] {
  const [, name = '', value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === '') throw wrong(`--env ${text} is not of the form NAME=VALUE.`);
  return [name, value];
}

function whole(what: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw wrong(`${what} ${text} is not a whole number from ${String(min)} to ${String(max)}.`);
  }
  return value;
}

function wrong(message: string): Error {
  return oaasError('ConfigInvalid', message, { remedy: 'See npm run grid -- --help' });
}
