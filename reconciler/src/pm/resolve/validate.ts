import { quantityOf } from '../../record/index.ts';
import { collectionOptionProblems } from '@oaas/commons/config';
import type { ErrorCode } from '@oaas/commons/errors';
import { type Path } from '../parse/convert.ts';
import { nearest, oneOf } from '../parse/issues.ts';
import type { DeploymentSpec, FunctionSpec, OdgmSpec, PackageSpec } from '../model/schema.ts';

/** A finding about one field; the caller knows in which file. */
export interface Finding {
  readonly field: Path;
  readonly message: string;
  readonly remedy: string;
  readonly severity?: 'error' | 'warning';
  readonly code?: ErrorCode;
}

/** Options that say how the grid is laid out; the others are those of its collections. */
const layoutOptions = ['node_count', 'durability'];

/** What is wrong inside one package, whatever else the repository holds. */
export function validatePackage(spec: PackageSpec): readonly Finding[] {
  const findings: Finding[] = [
    ...duplicates(spec.classes, ['classes'], 'key', 'class'),
    ...duplicates(spec.functions, ['functions'], 'key', 'function'),
    ...spec.functions.flatMap((each, index) => validateFunction(each, ['functions', index])),
  ];
  const functionKeys = spec.functions.map((each) => each.key);
  for (const [index, each] of spec.classes.entries()) {
    const here: Path = ['classes', index, 'function_bindings'];
    findings.push(...duplicates(each.function_bindings, here, 'name', 'binding'));
    for (const [at, binding] of each.function_bindings.entries()) {
      if (!functionKeys.includes(binding.function_key)) {
        findings.push(missingFunction(binding.function_key, functionKeys, [...here, at, 'function_key']));
      }
    }
  }
  if (spec.dependencies.includes(spec.name)) {
    const field: Path = ['dependencies', spec.dependencies.indexOf(spec.name)];
    findings.push({
      field,
      code: 'DependencyCycle',
      message: `the package depends on itself: ${spec.name} → ${spec.name}`,
      remedy: 'Remove the dependency.',
    });
  }
  return findings;
}

/** What is wrong with one deployment of a known package. `at` is where it stands in its document. */
export function validateDeployment(spec: DeploymentSpec, owner: PackageSpec, at: Path): readonly Finding[] {
  const findings: Finding[] = [];
  const classKeys = owner.classes.map((each) => each.key);
  if (spec.package_name !== undefined && spec.package_name !== owner.name) {
    findings.push({
      field: [...at, 'package_name'],
      message: `"${spec.package_name}" is not the package that holds the deployment, "${owner.name}"`,
      remedy: 'Remove package_name, or write a document of kind ClassDeployment.',
    });
  }
  if (!classKeys.includes(spec.class_key)) {
    const meant = nearest(spec.class_key, classKeys);
    findings.push({
      field: [...at, 'class_key'],
      message: `the package "${owner.name}" has no class "${spec.class_key}"`,
      remedy: meant === undefined ? `Use one of ${oneOf(classKeys)}, or add the class.` : `Did you mean "${meant}"?`,
    });
  }
  const functionKeys = owner.functions.map((each) => each.key);
  for (const [index, override] of (spec.functions ?? []).entries()) {
    if (functionKeys.includes(override.function_key)) continue;
    findings.push(missingFunction(override.function_key, functionKeys, [...at, 'functions', index, 'function_key']));
  }
  if (spec.odgm !== undefined) findings.push(...validateOdgm(spec.odgm, functionKeys, [...at, 'odgm']));
  return findings;
}

export function validateOdgm(odgm: OdgmSpec, functionKeys: readonly string[], at: Path): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, trigger] of (odgm.event_triggers ?? []).entries()) {
    if (functionKeys.includes(trigger.function_key)) continue;
    findings.push(
      missingFunction(trigger.function_key, functionKeys, [...at, 'event_triggers', index, 'function_key']),
    );
  }
  for (const problem of collectionOptionProblems(odgm.options ?? {}, layoutOptions)) {
    findings.push({
      field: [...at, 'options', problem.option],
      // What nobody knows does no harm, and stood in packages that were taken.
      ...(problem.kind === 'unknown' ? { severity: 'warning' as const } : {}),
      message: problem.message,
      remedy: problem.kind === 'unknown' ? `It is ignored. ${problem.remedy}` : problem.remedy,
    });
  }
  const nodeCount = odgm.options?.['node_count'];
  if (nodeCount !== undefined && !(/^\d{1,2}$/.test(nodeCount) && Number(nodeCount) >= 1 && Number(nodeCount) <= 64)) {
    findings.push({
      field: [...at, 'options', 'node_count'],
      message: `node_count must be a whole number from 1 to 64, not "${nodeCount}"`,
      remedy: 'Write the number of grid nodes.',
    });
  }
  const durability = odgm.options?.['durability'];
  if (durability !== undefined && durability !== 'persistent' && durability !== 'ephemeral') {
    findings.push({
      field: [...at, 'options', 'durability'],
      message: `durability must be persistent or ephemeral, not "${durability}"`,
      remedy: 'Use one of the two.',
    });
  }
  if (nodeCount !== undefined && odgm.replica_count !== undefined && Number(nodeCount) < odgm.replica_count) {
    findings.push({
      field: [...at, 'options', 'node_count'],
      severity: 'warning',
      message: `${nodeCount} nodes cannot hold ${String(odgm.replica_count)} replicas of a shard; the grid gets ${String(odgm.replica_count)} nodes`,
      remedy: 'Raise node_count, or lower replica_count.',
    });
  }
  return findings;
}

/** Function types that no template can run yet. */
const unsupportedTypes: Readonly<Partial<Record<FunctionSpec['function_type'], string>>> = {
  WASM: 'Build the function into a container image and use function_type: CUSTOM.',
  MACRO: 'Write the steps as a CUSTOM function that calls the others.',
  LOGICAL: 'Bind a CUSTOM function, or remove the function.',
};

export function validateFunction(spec: FunctionSpec, at: Path): readonly Finding[] {
  const findings: Finding[] = [];
  const remedy = unsupportedTypes[spec.function_type];
  if (remedy !== undefined) {
    findings.push({
      field: [...at, 'function_type'],
      message: `no template runs functions of type ${spec.function_type}`,
      remedy,
    });
  }
  const provision = spec.provision_config;
  if (spec.function_type === 'CUSTOM' && provision?.container_image === undefined) {
    findings.push({
      field: provision === undefined ? [...at, 'key'] : [...at, 'provision_config'],
      message: `the CUSTOM function "${spec.key}" has no image`,
      remedy: 'Add provision_config.container_image.',
    });
  }
  if (provision === undefined) return findings;
  const { min_scale: min, max_scale: max } = provision;
  if (min !== undefined && max !== undefined && min > max) {
    findings.push({
      field: [...at, 'provision_config', 'min_scale'],
      message: `min_scale ${String(min)} is more than max_scale ${String(max)}`,
      remedy: 'Lower min_scale or raise max_scale.',
    });
  }
  for (const resource of ['cpu', 'memory'] as const) {
    const request = provision[`${resource}_request`];
    const limit = provision[`${resource}_limit`];
    if (request === undefined || limit === undefined) continue;
    // The schema has checked the form of both.
    if ((quantityOf(request) ?? 0) <= (quantityOf(limit) ?? 0)) continue;
    findings.push({
      field: [...at, 'provision_config', `${resource}_request`],
      message: `${resource}_request ${request} is more than ${resource}_limit ${limit}`,
      remedy: 'Lower the request or raise the limit.',
    });
  }
  return findings;
}

function missingFunction(name: string, known: readonly string[], field: Path): Finding {
  const meant = nearest(name, known);
  const offer =
    known.length === 0 ? 'Add the function to "functions".' : `Use one of ${oneOf(known)}, or add the function.`;
  return {
    field,
    code: 'FunctionNotFound',
    message: `there is no function "${name}" in the package`,
    remedy: meant === undefined ? offer : `Did you mean "${meant}"?`,
  };
}

function duplicates<K extends string>(
  items: readonly Readonly<Record<K, string>>[],
  at: Path,
  field: K,
  what: string,
): readonly Finding[] {
  const seen = new Map<string, number>();
  const findings: Finding[] = [];
  for (const [index, item] of items.entries()) {
    const name = item[field];
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    else {
      findings.push({
        field: [...at, index, field],
        message: `the ${what} "${name}" stands here twice: items ${String(first)} and ${String(index)}`,
        remedy: `Rename or remove one ${what}.`,
      });
    }
  }
  return findings;
}
