/**
 * Writes messages.generated.json: the protobuf messages of the built-in kinds, as the Go types of Kubernetes declare them. Use:
 * `tsx reconciler/testkit/kubernetes/protobuf/generate.ts FOLDER`, where FOLDER has the modules `api` and `apimachinery` of k8s.io.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import builtin from '../schema/builtin.generated.json' with { type: 'json' };

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the folder that holds k8s.io/api and k8s.io/apimachinery');
const root: string = folder;

/** Kinds that clients send and the server does not store. */
const alsoSent = [
  ['policy', 'v1', 'Eviction'],
  ['autoscaling', 'v1', 'Scale'],
  ['', 'v1', 'Binding'],
] as const;
/** Go types whose JSON is not that of their fields. */
const special: Readonly<Record<string, string>> = {
  'apimachinery/pkg/apis/meta/v1.Time': 'time',
  'apimachinery/pkg/apis/meta/v1.MicroTime': 'microtime',
  'apimachinery/pkg/apis/meta/v1.FieldsV1': 'json',
  'apimachinery/pkg/runtime.RawExtension': 'json',
  'apimachinery/pkg/util/intstr.IntOrString': 'intstr',
  'apimachinery/pkg/api/resource.Quantity': 'quantity',
  'api/authorization/v1.ExtraValue': 'items',
  'api/authentication/v1.ExtraValue': 'items',
};
const scalars: Readonly<Record<string, string>> = {
  string: 's',
  bool: 'b',
  int32: 'i',
  int64: 'i',
  int: 'i',
  uint8: 'i',
  float64: 'd',
};

/** One package of Go: its structs and other named types, as text, and what its imports are called. */
interface Package {
  readonly path: string;
  readonly structs: ReadonlyMap<string, string>;
  readonly named: ReadonlyMap<string, string>;
  readonly imports: ReadonlyMap<string, string>;
}

const packages = new Map<string, Package>();

function load(path: string): Package {
  const known = packages.get(path);
  if (known !== undefined) return known;
  const structs = new Map<string, string>();
  const named = new Map<string, string>();
  const imports = new Map<string, string>();
  const files = readdirSync(join(root, path)).filter(
    (file) => /^[a-z_]+\.go$/.test(file) && !/_test|zz_|generated/.test(file),
  );
  for (const file of files) {
    const text = readFileSync(join(root, path, file), 'utf8');
    for (const [, alias, module] of text.matchAll(/^\t(?:import )?(\w+)? ?"k8s\.io\/([\w./-]+)"$/gm)) {
      imports.set(alias ?? module?.split('/').at(-1) ?? '', module ?? '');
    }
    for (const [, name, body] of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm))
      structs.set(name ?? '', body ?? '');
    for (const [, name, type] of text.matchAll(/^type (\w+) ([\w.*[\]]+)$/gm)) named.set(name ?? '', type ?? '');
  }
  const loaded = { path, structs, named, imports };
  packages.set(path, loaded);
  return loaded;
}

const messages: Record<string, Record<string, string>> = {};

/** Adds the message of a struct, and all that it refers to. Its name in the file. */
function message(from: Package, name: string): string {
  const id = `${from.path.replace(/^api\//, '').replace('apimachinery/pkg/apis/', '')}.${name}`;
  if (messages[id] !== undefined) return id;
  const fields: Record<string, string> = {};
  messages[id] = fields;
  const body = from.structs.get(name);
  if (body === undefined) throw new Error(`${from.path} has no struct ${name}`);
  for (const line of body.split('\n')) {
    const [, type = '', tag = ''] = /^\t(?:\w+\s+)?([\w.*[\]]+)\s+`(.*)`/.exec(line) ?? [];
    const number = /protobuf:"\w+,(\d+),/.exec(tag)?.[1];
    const json = /json:"([^",]*)/.exec(tag)?.[1];
    if (number === undefined || json === undefined) continue;
    // A field without a name of its own is a part of the struct around it.
    fields[number] = `${json}|${json === '' ? '<' : ''}${kindOf(from, type)}`;
  }
  return id;
}

/**
 * `?` may be absent, `*` a list, `%` a map; then s text, i whole number, b yes or no, d number, y bytes, `@` a message, `!` a type with a JSON
 * form of its own.
 */
function kindOf(from: Package, type: string): string {
  if (type.startsWith('*')) return `?${kindOf(from, type.slice(1))}`;
  if (type === '[]byte') return 'y';
  if (type.startsWith('[]')) return `*${kindOf(from, type.slice(2))}`;
  const map = /^map\[[\w.]+\](.+)$/.exec(type)?.[1];
  if (map !== undefined) return `%${kindOf(from, map)}`;
  const scalar = scalars[type];
  if (scalar !== undefined) return scalar;
  const [alias, foreign] = type.split('.');
  const place = foreign === undefined ? from : load(from.imports.get(alias ?? '') ?? `? ${type} in ${from.path}`);
  const name = foreign ?? type;
  const known = special[`${place.path}.${name}`];
  if (known !== undefined) return `!${known}`;
  const named = place.named.get(name);
  return named === undefined ? `@${message(place, name)}` : kindOf(place, named);
}

const pathOf = (group: string): string => {
  const name = group.replace(/\.k8s\.io$/, '').replace('.authorization', '');
  return name === '' ? 'core' : name;
};
const kinds: Record<string, string> = {};
const served = builtin.resources.map(({ group, version, kind }) => [group, version, kind] as const);
for (const [group, version, kind] of [...served, ...alsoSent]) {
  // Custom resource definitions are not part of k8s.io/api; kubectl sends them as JSON.
  if (group === 'apiextensions.k8s.io') continue;
  kinds[`${group === '' ? '' : `${group}/`}${version}/${kind}`] = message(
    load(`api/${pathOf(group)}/${version}`),
    kind,
  );
}
kinds['DeleteOptions'] = message(load('apimachinery/pkg/apis/meta/v1'), 'DeleteOptions');
writeFileSync(join(import.meta.dirname, 'messages.generated.json'), `${JSON.stringify({ kinds, messages })}\n`);
