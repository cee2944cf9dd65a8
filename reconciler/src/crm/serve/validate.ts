import { type JsonValue, oaasError, type OaasError } from '@oaas/commons/errors';
import type { unit as wire } from '@oaas/proto';
import { gridLayout, isUnitId, type RecordSpec, recordSpecSchema, unitToSpec } from '../../record/index.ts';

/** Problems that one answer names; the rest shows when these are mended. */
const problemsMax = 10;

/**
 * The spec that a unit asks for. Throws `InvalidArgument` naming each field that is wrong: what passes can be stored, and
 * what can be stored can be rendered.
 */
export function specOfUnit(unit: wire.DeploymentUnit): RecordSpec {
  const spec = unitToSpec(unit);
  const problems: Problem[] = [];
  if (!isUnitId(unit.id)) {
    problems.push({ field: 'id', message: 'must be a DNS label that starts with a letter, at most 36 characters' });
  }
  const parsed = recordSpecSchema.safeParse(spec);
  for (const issue of parsed.error?.issues ?? []) {
    problems.push({ field: fieldName(issue.path), message: issue.message });
  }
  problems.push(...functionProblems(spec));
  if (parsed.success) problems.push(...layoutProblems(spec));
  if (problems.length > 0) throw invalid(problems);
  return spec;
}

interface Problem {
  readonly field: string;
  readonly message: string;
}

function functionProblems({ deploymentUnit }: RecordSpec): Problem[] {
  const { functions = [], functionBindings = [] } = deploymentUnit;
  const problems: Problem[] = [];
  const keys = new Set<string>();
  functions.forEach((fn, index) => {
    const field = `functions[${String(index)}]`;
    if (keys.has(fn.functionKey)) problems.push({ field, message: `function "${fn.functionKey}" is there twice` });
    keys.add(fn.functionKey);
    const type = fn.functionType ?? 'CUSTOM';
    if (type !== 'CUSTOM') {
      problems.push({ field: `${field}.function_type`, message: `no template runs functions of type ${type}` });
    } else if (fn.provisionConfig?.containerImage === undefined) {
      problems.push({ field: `${field}.provision_config.container_image`, message: 'a function needs an image' });
    }
  });
  const names = new Set<string>();
  functionBindings.forEach((binding, index) => {
    const field = `function_bindings[${String(index)}]`;
    if (names.has(binding.name)) problems.push({ field, message: `binding "${binding.name}" is there twice` });
    names.add(binding.name);
    if (!keys.has(binding.functionKey)) {
      problems.push({ field: `${field}.function_key`, message: `there is no function "${binding.functionKey}"` });
    }
  });
  return problems;
}

function layoutProblems(spec: RecordSpec): Problem[] {
  try {
    gridLayout({ ...spec.deploymentUnit, nfr: spec.nfrRequirements, odgm: spec.odgmConfig });
    return [];
  } catch (error) {
    const { message, details } = error as OaasError;
    const field = details?.['field'];
    return [{ field: typeof field === 'string' ? field : 'odgm_config', message }];
  }
}

function invalid(problems: readonly Problem[]): OaasError {
  const shown = problems.slice(0, problemsMax);
  const more = problems.length - shown.length;
  const text = shown.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return oaasError('InvalidArgument', text + (more > 0 ? `; and ${String(more)} more` : ''), {
    remedy: 'Correct the named fields of the deployment unit.',
    details: { problems: shown.map(({ field, message }): JsonValue => ({ field, message })) },
  });
}

/** The name that callers know: as in the protocol, without the record's own nesting. */
function fieldName(path: readonly PropertyKey[]): string {
  const inner = path[0] === 'deploymentUnit' ? path.slice(1) : path;
  return inner
    .map((part, index) => {
      if (typeof part === 'number') return `[${String(part)}]`;
      const name = String(part).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}
