import { parseArgs } from 'node:util';
import { oaasError } from '@oaas/commons/errors';

export interface SandboxFlags {
  /** Folder of everything that the sandbox keeps. */
  readonly dir: string;
  /** First port; see ports.ts for which ports follow. */
  readonly portBase: number;
  readonly fresh: boolean;
  readonly buildOnly: boolean;
  readonly help: boolean;
  /** Cluster name to the context of the kubeconfig that it is. */
  readonly realClusters: ReadonlyMap<string, string>;
}

const clusterName = /^[a-z0-9](?:[-a-z0-9]{0,30}[a-z0-9])?$/;
/** Real clusters beside the embedded ones; each one has a process here. */
const clustersMax = 8;

export const usage = `npm start -- [flags]        the whole platform on this machine

  --dir DIR                 where everything is kept (default .sandbox)
  --port-base N             first port (default 7400); keep two sandboxes 3000 apart
  --fresh                   begin anew: removes what DIR holds, if it is a sandbox
  --cluster NAME=CONTEXT    use a real cluster: a context of KUBECONFIG stands for NAME (cloud, edge or another);
                            may be given more than once
  --build-only              build what has changed, and end
  --help                    this text`;

/** Reads the command line. Throws `ConfigInvalid` with what is wrong in one sentence. */
export function parseFlags(argv: readonly string[]): SandboxFlags {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        dir: { type: 'string', default: '.sandbox' },
        'port-base': { type: 'string', default: '7400' },
        fresh: { type: 'boolean', default: false },
        cluster: { type: 'string', multiple: true, default: [] },
        'build-only': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
      allowPositionals: false,
    }));
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  const portBase = Number(values['port-base']);
  if (!/^\d+$/.test(values['port-base']) || portBase < 1024 || portBase > 62_000) {
    throw wrong(`--port-base ${values['port-base']} is not a port from 1024 to 62000.`);
  }
  if (values.dir === '') throw wrong('--dir needs the name of a folder.');
  const realClusters = new Map<string, string>();
  for (const text of values.cluster) {
    const [, name = '', context = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (!clusterName.test(name) || context === '') {
      throw wrong(`--cluster ${text} is not of the form NAME=CONTEXT, such as cloud=my-context.`);
    }
    if (realClusters.has(name)) throw wrong(`--cluster names ${name} twice.`);
    realClusters.set(name, context);
  }
  if (realClusters.size > clustersMax) throw wrong(`At most ${String(clustersMax)} clusters can be given.`);
  return {
    dir: values.dir,
    portBase,
    fresh: values.fresh,
    buildOnly: values['build-only'],
    help: values.help,
    realClusters,
  };
}

function wrong(message: string): Error {
  return oaasError('ConfigInvalid', message, { remedy: 'See npm start -- --help' });
}
