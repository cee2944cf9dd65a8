import { createHash } from 'node:crypto';

/**
 * Names that follow from (package, class, environment). They are functions of their input, never random, so that two
 * components that have never met agree on them and a second deployment of a class is the same deployment.
 */

const digestLength = 8;
const slugLength = 27;
/** StatefulSet pods carry `<name>-<10 characters of the revision>` in a label of at most 63 characters. */
const statefulSetNameLength = 52;
/** Pods of a longer Deployment lose the end of its name: their base is cut to 58 characters. */
const deploymentNameLength = 58;

/**
 * Id of the unit that runs one class in one environment, and the name of its DeploymentRecord: a readable part of at
 * most 27 characters, a dash, and 8 hexadecimal digits of the SHA-256 of the three names joined by NUL. At most 36
 * characters, a label of RFC 1035 (starts with a letter), so that Services can carry it. Names are taken as they are:
 * `Counter` and `counter` are two classes.
 */
export function unitId(packageName: string, classKey: string, environment: string): string {
  const readable = cut(slug(`${packageName}-${classKey}`), slugLength);
  return `${readable}-${digestOf([packageName, classKey, environment].join('\0'))}`;
}

/** True for what {@link unitId} can return: used to refuse ids that could not name a record's children. */
export function isUnitId(text: string): boolean {
  return text.length <= slugLength + 1 + digestLength && /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/.test(text);
}

/** Names of the objects that belong to the unit `id`. */
export interface ChildNames {
  /** StatefulSet of the grid, and the Service that clients of the grid use. At most 52 characters. */
  readonly grid: string;
  /** Headless Service that gives each grid node an address of its own. */
  readonly peers: string;
  /** ConfigMap with the grid's configuration. */
  readonly config: string;
  /** Name of the `index`-th node of the grid: its pod, and its id among the members. */
  gridNode(index: number): string;
  /** Deployment and Service of one function. At most 58 characters, distinct for distinct keys of one unit. */
  workload(functionKey: string): string;
}

export function childNames(id: string): ChildNames {
  const grid = cut(`${id}-odgm`, statefulSetNameLength);
  return {
    grid,
    peers: `${grid}-peers`,
    config: `${grid}-config`,
    gridNode: (index) => `${grid}-${String(index)}`,
    workload: (functionKey) => workloadName(id, functionKey),
  };
}

/** A key that is no DNS label, or too long, gets a digest, so that `a.b` and `a-b` are two workloads. */
function workloadName(id: string, functionKey: string): string {
  const prefix = `${id}-fn-`;
  const room = deploymentNameLength - prefix.length;
  const readable = slug(functionKey);
  if (readable === functionKey && readable.length <= room) return `${prefix}${readable}`;
  const suffix = digestOf(functionKey).slice(0, 5);
  const start = cut(readable, room - suffix.length - 1);
  return `${prefix}${start === '' ? '' : `${start}-`}${suffix}`;
}

/** Lower case letters, digits and single dashes, starting with a letter. */
function slug(text: string): string {
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return /^[a-z]/.test(plain) ? plain : `u${plain === '' ? '' : `-${plain}`}`;
}

function cut(text: string, length: number): string {
  return text.slice(0, Math.max(0, length)).replace(/-+$/, '');
}

function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, digestLength);
}
