import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { tempDir, type TempDir } from '../../testkit/index.ts';
import { ExitRequest, isOaasError } from '../errors/index.ts';
import { duration, loadConfig, type LoadConfigOptions, secret } from './index.ts';

const schema = z.object({
  profile: z.string().default('small'),
  server: z.object({
    host: z.string().default('127.0.0.1'),
    port: z.number().int().min(0).max(65535).default(8080).describe('Port of the REST API.'),
    isOpen: z.boolean().default(false),
  }),
  git: z.object({
    pollInterval: duration().default(15_000),
    token: secret(z.string()).optional(),
  }),
  level: z.enum(['debug', 'info']).default('info'),
  members: z.array(z.string()).default([]),
  ports: z.array(z.number()).default([]),
  labels: z.record(z.string(), z.string()).default({}),
  collections: z.array(z.object({ name: z.string(), partitionCount: z.number().default(1) })).default([]),
});

type Options = LoadConfigOptions<typeof schema>;

const load = (options: Partial<Options> = {}) =>
  loadConfig({ schema, env: {}, envPrefix: 'APP_', flags: [], ...options });

function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (!isOaasError(error, 'ConfigInvalid')) throw error;
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.replace(/^ {2}- /, ''));
  }
  throw new Error('the configuration was accepted');
}

let dir: TempDir;
beforeAll(async () => {
  dir = await tempDir();
});
afterAll(() => dir.remove());

async function file(name: string, text: string): Promise<string> {
  const path = join(dir.path, name);
  await writeFile(path, text);
  return path;
}

describe('the order of places', () => {
  it('is defaults, profile, file, environment, flags, each over those before', async () => {
    const options: Partial<Options> = {
      defaults: { server: { host: 'default' } },
      profiles: { big: { server: { host: 'profile', port: 1 } }, small: {} },
      profileKey: 'profile',
    };
    const path = await file('order.yaml', 'server:\n  host: file\n  port: 2\n');
    const flags = ['--server-port', '4'];
    const env = { APP_PROFILE: 'big', APP_SERVER_PORT: '3' };
    expect(load().config.server).toEqual({ host: '127.0.0.1', port: 8080, isOpen: false });
    expect(load(options).config.server).toMatchObject({ host: 'default', port: 8080 });
    expect(load({ ...options, flags: ['--profile=big'] }).config.server).toMatchObject({ host: 'profile', port: 1 });
    expect(load({ ...options, flags: ['--profile=big'], file: path }).config.server).toMatchObject({
      host: 'file',
      port: 2,
    });
    expect(load({ ...options, file: path, env }).config.server).toMatchObject({ host: 'file', port: 3 });
    const loaded = load({ ...options, file: path, env, flags });
    expect(loaded.config.server).toMatchObject({ host: 'file', port: 4 });
    expect(loaded.origins).toMatchObject({
      'server.host': 'order.yaml:2',
      'server.port': 'flag --server-port',
      'server.isOpen': 'default',
      profile: 'variable APP_PROFILE',
    });
  });

  it('refuses a profile that does not exist, with the nearest name', () => {
    const options = { profiles: { small: {}, full: {} }, profileKey: 'profile', env: { APP_PROFILE: 'ful' } };
    expect(problemsOf(() => load(options))).toEqual([
      'variable APP_PROFILE: profile: there is no such profile; known are small, full; did you mean "full"?',
    ]);
  });
});

describe('the environment', () => {
  it('gives numbers, booleans, durations, lists and records', () => {
    const env = {
      APP_SERVER_PORT: '9000',
      APP_SERVER_IS_OPEN: 'yes',
      APP_GIT_POLL_INTERVAL: '2m',
      APP_MEMBERS: 'a, b,,c',
      APP_PORTS: '1,2',
      APP_LABELS: 'zone=a,tier=b=c',
      APP_COLLECTIONS: '[{"name":"x"}]',
    };
    expect(load({ env }).config).toMatchObject({
      server: { port: 9000, isOpen: true },
      git: { pollInterval: 120_000 },
      members: ['a', 'b', 'c'],
      ports: [1, 2],
      labels: { zone: 'a', tier: 'b=c' },
      collections: [{ name: 'x', partitionCount: 1 }],
    });
  });

  it('may use other names for a setting, and an empty variable is none', () => {
    const envNames = { SERVER_PORT: 'server.port' };
    expect(load({ envNames, env: { SERVER_PORT: '7' } }).config.server.port).toBe(7);
    expect(load({ envNames, env: { SERVER_PORT: '7', APP_SERVER_PORT: '8' } }).config.server.port).toBe(8);
    expect(load({ env: { APP_SERVER_PORT: '' } }).config.server.port).toBe(8080);
  });

  it('fails as a defect when the program gives a name to a setting that does not exist', () => {
    expect(() => load({ envNames: { PORT: 'server.prot' } })).toThrow('the schema has no setting "server.prot"');
    expect(() => load({ flagNames: { port: 'server.prot' } })).toThrow('the schema has no setting "server.prot"');
  });

  it('refuses unknown names of its prefix only, and says what was meant', () => {
    const env = { APP_SERVER_PROT: '1', OTHER_THING: 'x', APP_DYNAMIC_A: 'x' };
    expect(problemsOf(() => load({ env, envIgnored: (name) => name.startsWith('APP_DYNAMIC_') }))).toEqual([
      'variable APP_SERVER_PROT: unknown setting; did you mean "APP_SERVER_PORT"?',
    ]);
  });

  it('passes over the variables that Kubernetes sets for a Service of the same name', () => {
    const env = {
      APP_SERVICE_HOST: '10.0.0.1',
      APP_SERVICE_PORT: '80',
      APP_PORT: 'tcp://10.0.0.1:80',
      APP_PORT_80_TCP: 'tcp://10.0.0.1:80',
      APP_PORT_80_TCP_ADDR: '10.0.0.1',
      APP_SERVER_PORT: 'tcp://10.0.0.1:80',
    };
    expect(load({ env }).config.server.port).toBe(8080);
  });
});

describe('flags', () => {
  it('take values in both forms, switches, short names, and collect lists', () => {
    const flags = ['--port', '1', '--server-is-open', '--members', 'a,b', '--members=c', '--level=debug'];
    const loaded = load({ flags, flagNames: { port: 'server.port' }, env: {} });
    expect(loaded.config).toMatchObject({
      server: { port: 1, isOpen: true },
      members: ['a', 'b', 'c'],
      level: 'debug',
    });
    expect(load({ flags: ['--no-server-is-open'], env: { APP_SERVER_IS_OPEN: 'true' } }).config.server.isOpen).toBe(
      false,
    );
  });

  it('are refused when unknown, without a value, or no flag at all', () => {
    expect(problemsOf(() => load({ flags: ['--server-prot', '1', 'stray', '--server-port'] }))).toEqual([
      'flag --server-prot: unknown setting; did you mean "server-port"?',
      'argument "stray": not expected here',
      'flag --server-port: server.port: expected a value',
    ]);
  });
});

describe('the file', () => {
  it('is refused with the line of each unknown or wrong setting, all at once', async () => {
    const path = await file(
      'bad.yaml',
      'server:\n  prot: 1\n  port: high\ncollections:\n  - name: a\n    partitionCont: 2\nlevel: loud\n',
    );
    expect(problemsOf(() => load({ file: path, env: { APP_PORTS: '1,x' } }))).toEqual([
      'bad.yaml:2: server.prot: unknown setting; did you mean "port"?',
      'bad.yaml:6: collections.0.partitionCont: unknown setting; did you mean "partitionCount"?',
      'variable APP_PORTS: ports: expected a list of which each is a number',
      'bad.yaml:3: server.port: invalid input: expected number, received string',
      'bad.yaml:7: level: invalid option: expected one of "debug"|"info"',
    ]);
  });

  it('may be TOML, with lines as well', async () => {
    const good = await file('good.toml', 'level = "debug"\n[server]\nport = 81\n');
    const loaded = load({ file: good });
    expect(loaded.config).toMatchObject({ level: 'debug', server: { port: 81 } });
    expect(loaded.origins['server.port']).toBe('good.toml:3');
    const bad = await file('bad.toml', '[server]\n# comment\nport = "x"\n');
    expect(problemsOf(() => load({ file: bad }))).toEqual([
      'bad.toml:3: server.port: invalid input: expected number, received string',
    ]);
  });

  it('is refused where its syntax is broken', async () => {
    const yaml = await file('broken.yaml', 'a: 1\nb: [\n');
    const toml = await file('broken.toml', 'level = "info"\nserver = = 1\n');
    expect(problemsOf(() => load({ file: yaml }))[0]).toMatch(/^broken\.yaml:[23]: /);
    expect(problemsOf(() => load({ file: toml }))[0]).toMatch(/^broken\.toml:2: /);
  });

  it('must exist unless it is optional', () => {
    const missing = join(dir.path, 'missing.yaml');
    expect(problemsOf(() => load({ file: missing }))[0]).toContain('cannot be read');
    expect(load({ file: missing, fileOptional: true }).config.level).toBe('info');
  });

  it('may be empty', async () => {
    expect(load({ file: await file('empty.yaml', '# nothing\n') }).config.level).toBe('info');
  });
});

describe('a secret', () => {
  const value = 'hunter2-and-more';

  it('is a plain text for the program but never printed, wherever it came from', () => {
    const loaded = load({ env: { APP_GIT_TOKEN: value } });
    expect(loaded.config.git.token).toBe(value);
    expect(loaded.print()).not.toContain(value);
    expect(loaded.print()).toContain('token: "***" # variable APP_GIT_TOKEN');
  });

  it('is not shown by an error about it', () => {
    const strict = z.object({ key: secret(z.string().max(3)), pin: secret(z.number()) });
    const env = { X_KEY: value, X_PIN: value };
    const problems = problemsOf(() => loadConfig({ schema: strict, env, envPrefix: 'X_', flags: [] }));
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain(value);
  });
});

describe('what is loaded', () => {
  it('is frozen to its depth', () => {
    const { config } = load({ env: { APP_MEMBERS: 'a' } });
    expect(() => (config.members as string[]).push('b')).toThrow(TypeError);
    expect(() => ((config.server as { port: number }).port = 1)).toThrow(TypeError);
  });

  it('prints as YAML with the origin of each value', () => {
    const print = load({ flags: ['--members', 'a'] }).print();
    expect(print).toContain('server:\n  host: 127.0.0.1 # default\n  port: 8080 # default\n');
    expect(print).toContain('members:\n  # flag --members\n  - a\n');
  });

  it('answers --help and --print-config with a text to exit with', () => {
    const ask = (flag: string) => {
      try {
        load({ flags: [flag], program: 'pm' });
      } catch (error) {
        if (error instanceof ExitRequest) return error;
      }
      throw new Error('no exit was asked for');
    };
    expect(ask('--help').output).toContain(
      '  --server-port <number>\n      APP_SERVER_PORT\n      Port of the REST API.\n      default: 8080\n',
    );
    expect(ask('--print-config').output).toContain('port: 8080 # default');
    expect(ask('--print-config').exitCode).toBe(0);
  });

  it('has a whole default object even when one of its settings is given elsewhere', () => {
    const nested = z.object({ limits: z.object({ a: z.number(), b: z.number() }).default({ a: 1, b: 2 }) });
    const loaded = loadConfig({ schema: nested, env: { L_LIMITS_A: '5' }, envPrefix: 'L_', flags: [] });
    expect(loaded.config.limits).toEqual({ a: 5, b: 2 });
  });
});
