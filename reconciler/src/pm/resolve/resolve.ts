import type { DocumentProblem, DocumentVerdict } from '@oaas/commons/client/pm';
import { toOaasError } from '@oaas/commons/errors';
import { digestOf } from '../digest.ts';
import type { DeploymentSpec, OverlaySpec, PackageSpec } from '../model/schema.ts';
import type { DesiredUnit, ResolvedPackage } from '../model/unit.ts';
import type { Path } from '../parse/convert.ts';
import { nearest, oneOf, problem } from '../parse/issues.ts';
import { pathText } from '../parse/convert.ts';
import type { DeploymentDocument, OverlayDocument, PackageDocument, ParsedDocument } from '../parse/parse.ts';
import { dependencyCycles, type DependencyNode, dependencyOrder } from './dependencies.ts';
import { buildUnit, environmentsOf } from './units.ts';
import { type Finding, validateDeployment, validateFunction, validateOdgm, validatePackage } from './validate.ts';

/** A package that somebody else owns: another source, or the API. */
export interface ForeignPackage extends DependencyNode {
  /** For people: `the source "shop"` or `the API`. */
  readonly owner: string;
}

export interface ResolveInput {
  readonly documents: readonly ParsedDocument[];
  readonly foreign: ReadonlyMap<string, ForeignPackage>;
  /** Clusters that PM knows. A unit for another environment waits. */
  readonly clusters: readonly string[];
}

export interface Resolution {
  /** In order of path and line. */
  readonly documents: readonly DocumentVerdict[];
  /** Packages in order of their dependencies. Empty where a document is refused. */
  readonly packages: readonly ResolvedPackage[];
  /** In the order of their packages, then by id. Empty where a document is refused. */
  readonly units: readonly DesiredUnit[];
  readonly refused: number;
}

interface Entry {
  readonly packageName: string;
  readonly document: PackageDocument | DeploymentDocument;
  readonly spec: DeploymentSpec;
  /** Where the deployment stands in its document. */
  readonly at: Path;
}

/**
 * From documents to units: checks what needs more than one document, lays overlays over packages, and makes one unit for each
 * class and environment. One refused document refuses all. The order of the documents does not matter.
 */
export function resolve(input: ResolveInput): Resolution {
  const documents = [...input.documents].sort((a, b) =>
    a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1,
  );
  const report = new Report(documents);
  const packages = indexPackages(documents, input, report);
  checkDependencies(packages, input, report);
  const entries = indexDeployments(documents, packages, input, report);
  const overlays = indexOverlays(documents, packages, entries, input, report);
  const units = buildUnits(packages, entries, overlays, input, report);

  const verdicts = report.verdicts();
  const refused = verdicts.filter((each) => each.verdict === 'refused').length;
  if (refused > 0) return { documents: verdicts, packages: [], units: [], refused };
  const order = dependencyOrder(new Map([...packages].map(([name, { spec }]) => [name, spec])));
  const byPackage = groupBy(entries, (entry) => entry.packageName);
  const rank = new Map(order.map((name, index) => [name, index]));
  const rankOf = (unit: DesiredUnit) => rank.get(unit.spec.package_name) ?? 0;
  return {
    documents: verdicts,
    packages: order.flatMap((name) => resolvedPackage(packages.get(name), byPackage.get(name) ?? [])),
    units: units.sort((a, b) => rankOf(a) - rankOf(b) || (a.spec.id < b.spec.id ? -1 : 1)),
    refused,
  };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function resolvedPackage(document: PackageDocument | undefined, own: readonly Entry[]): readonly ResolvedPackage[] {
  if (document === undefined) return [];
  const { spec, path } = document;
  const deployments = own.map((entry) => ({ ...entry.spec, package_name: spec.name }));
  return [{ spec, deployments, digest: digestOf({ spec, deployments }), path }];
}

/** Collects problems per document. */
class Report {
  readonly #documents: readonly ParsedDocument[];
  readonly #problems = new Map<ParsedDocument, DocumentProblem[]>();

  constructor(documents: readonly ParsedDocument[]) {
    this.#documents = documents;
    for (const document of documents) this.#problems.set(document, [...document.problems]);
  }

  add(document: PackageDocument | DeploymentDocument | OverlayDocument, finding: Finding): void {
    this.#problems.get(document)?.push(
      problem({
        severity: finding.severity ?? 'error',
        code: finding.code ?? 'PackageInvalid',
        message: finding.message,
        remedy: finding.remedy,
        path: document.path,
        at: document.locate(finding.field),
        field: pathText(finding.field),
      }),
    );
  }

  verdicts(): readonly DocumentVerdict[] {
    return this.#documents.map((document) => {
      const problems = this.#problems.get(document) ?? [];
      const { path, line, kind, name } = document;
      const verdict =
        document.status === 'ignored'
          ? 'ignored'
          : problems.some((each) => each.severity === 'error')
            ? 'refused'
            : 'accepted';
      return { path, line, kind, name, verdict, problems };
    });
  }
}

type Packages = ReadonlyMap<string, PackageDocument>;

function indexPackages(documents: readonly ParsedDocument[], input: ResolveInput, report: Report): Packages {
  const packages = new Map<string, PackageDocument>();
  for (const document of documents) {
    if (document.status !== 'parsed' || document.kind !== 'Package') continue;
    const { name } = document.spec;
    for (const finding of validatePackage(document.spec)) report.add(document, finding);
    const owner = input.foreign.get(name)?.owner;
    if (owner !== undefined) {
      report.add(document, {
        field: ['name'],
        code: 'OwnershipConflict',
        message: `the package "${name}" belongs to ${owner}`,
        remedy: 'Rename this package, or remove it there first.',
      });
    }
    const first = packages.get(name);
    if (first === undefined) {
      packages.set(name, document);
      continue;
    }
    const places = `${first.path}:${String(first.line)} and ${document.path}:${String(document.line)}`;
    for (const each of [first, document]) {
      const message = `the package "${name}" is defined twice: ${places}`;
      report.add(each, { field: ['name'], message, remedy: 'Rename or remove one of the two.' });
    }
  }
  return packages;
}

function checkDependencies(packages: Packages, input: ResolveInput, report: Report): void {
  const nodes = new Map<string, DependencyNode>(input.foreign);
  for (const [name, { spec }] of packages) nodes.set(name, spec);
  for (const document of packages.values()) {
    for (const [index, name] of document.spec.dependencies.entries()) {
      if (nodes.has(name)) continue;
      const meant = nearest(
        name,
        [...nodes.keys()].filter((each) => each !== document.spec.name),
      );
      report.add(document, {
        field: ['dependencies', index],
        code: 'DependencyMissing',
        message: `there is no package "${name}"`,
        remedy: meant === undefined ? 'Add the package, or remove the dependency.' : `Did you mean "${meant}"?`,
      });
    }
  }
  for (const cycle of dependencyCycles(nodes)) {
    for (const [index, name] of cycle.slice(0, -1).entries()) {
      const document = packages.get(name);
      if (document === undefined) continue;
      report.add(document, {
        field: ['dependencies', document.spec.dependencies.indexOf(cycle[index + 1] ?? '')],
        code: 'DependencyCycle',
        message: `packages depend on each other: ${cycle.join(' → ')}`,
        remedy: 'Remove one dependency of the circle.',
      });
    }
  }
}

function indexDeployments(
  documents: readonly ParsedDocument[],
  packages: Packages,
  input: ResolveInput,
  report: Report,
): readonly Entry[] {
  const entries: Entry[] = [];
  for (const document of documents) {
    if (document.status !== 'parsed') continue;
    if (document.kind === 'Package') {
      for (const [index, spec] of document.spec.deployments.entries()) {
        const at = ['deployments', index];
        for (const finding of validateDeployment(spec, document.spec, at)) report.add(document, finding);
        entries.push({ packageName: document.spec.name, document, spec, at });
      }
    } else if (document.kind === 'ClassDeployment') {
      const owner = packages.get(document.spec.package_name);
      if (owner === undefined) {
        report.add(document, noPackage(document.spec.package_name, packages, input));
        continue;
      }
      for (const finding of validateDeployment(document.spec, owner.spec, [])) report.add(document, finding);
      entries.push({ packageName: document.spec.package_name, document, spec: document.spec, at: [] });
    }
  }
  checkDeploymentKeys(entries, report);
  warnOfUnknownEnvironments(entries, input, report);
  return entries;
}

function noPackage(name: string, packages: Packages, input: ResolveInput): Finding {
  const foreign = input.foreign.get(name);
  if (foreign !== undefined) {
    return {
      field: ['package_name'],
      code: 'OwnershipConflict',
      message: `the package "${name}" belongs to ${foreign.owner}`,
      remedy: 'Change it where it is defined.',
    };
  }
  const meant = nearest(name, [...packages.keys()]);
  return {
    field: ['package_name'],
    code: 'DependencyMissing',
    message: `there is no package "${name}"`,
    remedy: meant === undefined ? 'Add the package to the same repository.' : `Did you mean "${meant}"?`,
  };
}

function checkDeploymentKeys(entries: readonly Entry[], report: Report): void {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const id = `${entry.packageName}\0${entry.spec.key}`;
    const first = seen.get(id);
    if (first === undefined) {
      seen.set(id, entry);
      continue;
    }
    const message = `the deployment "${entry.spec.key}" stands twice in package "${entry.packageName}": ${place(first)} and ${place(entry)}`;
    for (const each of [first, entry]) {
      report.add(each.document, { field: [...each.at, 'key'], message, remedy: 'Rename or remove one of the two.' });
    }
  }
}

function place({ document, at }: Entry): string {
  return `${document.path}:${String(document.locate(at).line)}`;
}

function warnOfUnknownEnvironments(entries: readonly Entry[], input: ResolveInput, report: Report): void {
  for (const { document, spec, at } of entries) {
    const field = spec.target_envs.length > 0 ? 'target_envs' : 'available_envs';
    for (const [index, name] of spec[field].entries()) {
      if (input.clusters.includes(name)) continue;
      const meant = nearest(name, input.clusters);
      report.add(document, {
        field: [...at, field, index],
        severity: 'warning',
        message: `no cluster is called "${name}"; what is meant for it waits`,
        remedy:
          meant === undefined ? `Add the cluster, or use one of ${oneOf(input.clusters)}.` : `Did you mean "${meant}"?`,
      });
    }
  }
}

function indexOverlays(
  documents: readonly ParsedDocument[],
  packages: Packages,
  entries: readonly Entry[],
  input: ResolveInput,
  report: Report,
): readonly OverlayDocument[] {
  const overlays = new Map<string, OverlayDocument>();
  const byPackage = groupBy(entries, (entry) => entry.packageName);
  for (const document of documents) {
    if (document.status !== 'parsed' || document.kind !== 'Overlay') continue;
    const { spec } = document;
    const first = overlays.get(spec.name);
    if (first === undefined) overlays.set(spec.name, document);
    else {
      const places = `${first.path}:${String(first.line)} and ${document.path}:${String(document.line)}`;
      for (const each of [first, document]) {
        const message = `the overlay "${spec.name}" is defined twice: ${places}`;
        report.add(each, { field: ['name'], message, remedy: 'Rename or remove one of the two.' });
      }
    }
    const owner = packages.get(spec.package_name);
    if (owner === undefined) {
      report.add(document, noPackage(spec.package_name, packages, input));
      continue;
    }
    const deploymentKeys = (byPackage.get(spec.package_name) ?? []).map((each) => each.spec.key);
    for (const finding of validateOverlay(
      spec,
      owner.spec.functions.map((each) => each.key),
      deploymentKeys,
    ))
      report.add(document, finding);
  }
  return [...overlays.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
}

function validateOverlay(
  spec: OverlaySpec,
  functionKeys: readonly string[],
  deploymentKeys: readonly string[],
): readonly Finding[] {
  const findings: Finding[] = [];
  const check = (name: string, known: readonly string[], what: string, field: Path) => {
    if (known.includes(name)) return;
    const meant = nearest(name, known);
    findings.push({
      field,
      message: `the package "${spec.package_name}" has no ${what} "${name}"`,
      remedy: meant === undefined ? `Use one of ${oneOf(known)}.` : `Did you mean "${meant}"?`,
    });
  };
  for (const [index, each] of spec.functions.entries())
    check(each.key, functionKeys, 'function', ['functions', index, 'key']);
  for (const [index, each] of spec.deployments.entries()) {
    const at: Path = ['deployments', index];
    check(each.key, deploymentKeys, 'deployment', [...at, 'key']);
    for (const [nth, override] of (each.functions ?? []).entries()) {
      check(override.function_key, functionKeys, 'function', [...at, 'functions', nth, 'function_key']);
    }
    if (each.odgm !== undefined) findings.push(...validateOdgm(each.odgm, functionKeys, [...at, 'odgm']));
  }
  return findings;
}

function buildUnits(
  packages: Packages,
  entries: readonly Entry[],
  overlays: readonly OverlayDocument[],
  input: ResolveInput,
  report: Report,
): DesiredUnit[] {
  const units = new Map<string, { readonly unit: DesiredUnit; readonly entry: Entry }>();
  const overlaysOf = groupBy(overlays, (overlay) => overlay.spec.package_name);
  for (const entry of entries) {
    const owner = packages.get(entry.packageName);
    const classSpec = owner?.spec.classes.find((each) => each.key === entry.spec.class_key);
    if (owner === undefined || classSpec === undefined) continue;
    for (const environment of environmentsOf(entry.spec, input.clusters)) {
      const own = (overlaysOf.get(owner.spec.name) ?? []).filter(({ spec }) => spec.environments.includes(environment));
      let unit: DesiredUnit;
      try {
        const specs = own.map((each) => each.spec);
        unit = buildUnit({
          owner: owner.spec,
          classSpec,
          deployment: entry.spec,
          environment,
          overlays: specs,
          path: entry.document.path,
        });
      } catch (thrown) {
        const { message, remedy } = toOaasError(thrown);
        report.add(entry.document, { field: [...entry.at, 'odgm'], message, remedy: remedy ?? 'Correct the layout.' });
        continue;
      }
      checkMerged(unit, owner.spec, entry, own, environment, report);
      const first = units.get(unit.spec.id);
      if (first === undefined) {
        units.set(unit.spec.id, { unit, entry });
        continue;
      }
      const message = `${unit.spec.package_name}.${unit.spec.class_key} is deployed twice to "${environment}": ${place(first.entry)} and ${place(entry)}`;
      for (const each of [first.entry, entry]) {
        report.add(each.document, {
          field: each.at,
          message,
          remedy: 'Remove the environment from one of the two deployments.',
        });
      }
    }
  }
  return [...units.values()].map(({ unit }) => unit);
}

/**
 * Each part may be valid and their sum not, such as a min_scale over a max_scale. Said at every part that has to do with it: the
 * overlays' and the deployment's own word about the function.
 */
function checkMerged(
  unit: DesiredUnit,
  owner: PackageSpec,
  { document, spec, at }: Entry,
  overlays: readonly OverlayDocument[],
  environment: string,
  report: Report,
): void {
  const parts = [
    ...overlays.flatMap((overlay) => [
      { document: overlay, at: ['functions'], keys: overlay.spec.functions.map(({ key }) => key) },
      ...overlay.spec.deployments.map((each, index) => ({
        document: overlay,
        at: ['deployments', index, 'functions'],
        keys: each.key === spec.key ? (each.functions ?? []).map((one) => one.function_key) : [],
      })),
    ]),
    { document, at: [...at, 'functions'], keys: (spec.functions ?? []).map((each) => each.function_key) },
  ];
  for (const merged of unit.spec.functions) {
    const alone = owner.functions.find((each) => each.key === merged.key);
    const known = new Set(alone === undefined ? [] : validateFunction(alone, []).map(({ message }) => message));
    for (const finding of validateFunction(merged, [])) {
      // It stands in the package itself, and was said there.
      if (known.has(finding.message)) continue;
      for (const part of parts) {
        const index = part.keys.indexOf(merged.key);
        if (index < 0) continue;
        const words = part.document === document ? 'with this deployment' : 'with this overlay';
        report.add(part.document, {
          ...finding,
          field: [...part.at, index, ...finding.field],
          message: `${words}, in "${environment}": ${finding.message}`,
        });
      }
    }
  }
}
