import { join } from 'node:path';

/** The local program that stands in for a container image. */
export interface ImageProgram {
  /** Program and arguments; no shell. The container's own `command` and `args` are not used, since they name files of the image. */
  readonly command: readonly string[];
  /**
   * Environment variable that tells the program which port to listen on, by container port. Pods share 127.0.0.1, so
   * each container port has a loopback port of its own. `any` stands for the first port that is not named here.
   */
  readonly portEnv: Readonly<Record<number, string>> & { readonly any?: string };
  /** Set where the pod does not say otherwise: what the image's own defaults would be. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** Set whatever the pod says: what is different on this machine. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/** Image repository, without registry and tag, to program. */
export type ImageTable = Readonly<Record<string, ImageProgram>>;

/** Names of the example functions: file in dist/functions and the end of the image's name. */
export const exampleFunctions = ['hello', 'counter', 'chat-room', 'chat-user'] as const;

/**
 * The images that the sandbox runs: the platform's own and those of gitops-examples.
 *
 * @param dist folder of the built programs
 * @param node the program that runs them, with its flags
 */
export function platformImages(dist: string, node: readonly string[]): ImageTable {
  const functions = exampleFunctions.map((name): [string, ImageProgram] => [
    `oaas/example-${name}`,
    {
      command: [...node, join(dist, 'functions', `${name}.mjs`)],
      portEnv: { any: 'FUNCTION_PORT' },
      overrides: { FUNCTION_BIND_HOST: '127.0.0.1' },
    },
  ]);
  return {
    'oaas/odgm': {
      command: [...node, join(dist, 'odgm.mjs')],
      portEnv: { 8080: 'ODGM_HTTP_PORT', 8081: 'ODGM_ADMIN_PORT' },
      defaults: { ODGM_DATA_DIR: '/data' },
      overrides: { ODGM_BIND_HOST: '127.0.0.1' },
    },
    ...Object.fromEntries(functions),
  };
}

/** `docker.io/oaas/odgm:dev@sha256:…` -> `oaas/odgm`: tags are not looked at, since there is one program per image. */
export function repositoryOf(image: string): string {
  const [withoutDigest = ''] = image.split('@');
  const lastSlash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.indexOf(':', lastSlash + 1);
  const repository = colon === -1 ? withoutDigest : withoutDigest.slice(0, colon);
  return repository.replace(/^(?:docker\.io|localhost)\//, '');
}

/** The program of an image, or why there is none. */
export function findImage(table: ImageTable, image: string): ImageProgram | { readonly problem: string } {
  const program = table[repositoryOf(image)];
  if (program !== undefined) return program;
  const known = Object.keys(table).sort().join(', ');
  return {
    problem:
      `image "${image}" is unknown to the sandbox, which runs programs of this machine instead of containers. ` +
      `It knows ${known}. For other images use a real cluster: npm start -- --cluster NAME=CONTEXT`,
  };
}
