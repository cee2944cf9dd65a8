import type { Commit } from '@oaas/commons/client/pm';
import { type JsonValue, oaasError, type OaasError } from '@oaas/commons/errors';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { ClassDeploymentSpec, PackageSpec } from '../model/schema.ts';
import { type Owner, ownerLabel } from '../model/state.ts';
import { type DeploymentDocument, type PackageDocument, type ParsedDocument, parseFile } from '../parse/parse.ts';
import { carryOut } from '../plan/commit.ts';
import type { Planned, Planner } from './planner.ts';
import type { PackageState, PmState } from './state.ts';

export interface ApiOwnerOptions {
  readonly state: PmState;
  readonly planner: Planner;
  readonly clock: Clock;
  readonly enqueue: (ids: readonly string[]) => void;
}

/** What a change of the API's packages did. */
export interface ApiResult {
  /** Units that wait for a confirmation. */
  readonly held: number;
}

const owner: Owner = { type: 'api' };
const start = { line: 1, column: 1 };

/**
 * Packages that are given by the REST API instead of Git. They go through the same parse, resolve and plan: what Git would refuse,
 * the API refuses.
 */
export class ApiOwner {
  readonly #options: ApiOwnerOptions;

  constructor(options: ApiOwnerOptions) {
    this.#options = options;
  }

  /** Creates or replaces a package from YAML or JSON text. Its embedded deployments take the place of those of the same key. */
  putPackage(
    text: string,
    actor: string,
    expected: { readonly name?: string; readonly mustBeNew?: boolean },
  ): Promise<ApiResult & { readonly name: string }> {
    const document = single(parseFile('request', text), 'Package');
    const { name } = document.spec;
    if (expected.name !== undefined && expected.name !== name) {
      throw oaasError('InvalidArgument', `the body has the package "${name}", the address "${expected.name}"`, {
        remedy: 'Use the same name in both.',
      });
    }
    return this.#options.planner.exclusive(async () => {
      const before = this.#options.state.package(name);
      if (before !== undefined && before.owner.type !== 'api') throw foreign(name, before.owner);
      if (before !== undefined && expected.mustBeNew === true) {
        throw oaasError('AlreadyExists', `there is a package "${name}" already`, {
          remedy: `POST to packages/${name} to update it.`,
        });
      }
      const kept = (before?.deployments ?? []).filter(
        (each) => isSeparate(before, each.key) && !document.spec.deployments.some((own) => own.key === each.key),
      );
      const documents = [...this.#others(name), document, ...kept.map(deploymentDocument)];
      return { name, ...(await this.#carryOut(documents, actor, undefined)) };
    });
  }

  /** @param confirm Text of an earlier refusal, which says that objects may be left without their class. */
  deletePackage(name: string, actor: string, confirm: string | undefined): Promise<ApiResult> {
    return this.#options.planner.exclusive(async () => {
      this.#own(name);
      const needed = [...this.#options.state.packages()]
        .filter((each) => each.spec.dependencies.includes(name))
        .map((each) => each.spec.name);
      if (needed.length > 0) {
        throw oaasError('FailedPrecondition', `packages depend on "${name}": ${needed.join(', ')}`, {
          remedy: 'Remove those dependencies first.',
        });
      }
      return this.#carryOut(this.#others(name), actor, confirm ?? '');
    });
  }

  /** Creates or replaces a deployment of a package of the API. */
  putDeployment(text: string, actor: string): Promise<ApiResult & { readonly key: string }> {
    const document = single(parseFile('request', text), 'ClassDeployment');
    const { key, package_name: name } = document.spec;
    return this.#options.planner.exclusive(async () => {
      const before = this.#own(name);
      const others = before.deployments.filter((each) => each.key !== key);
      const documents = [...this.#others(name), ...documentsOf(before, others), document];
      return { key, ...(await this.#carryOut(documents, actor, undefined)) };
    });
  }

  deleteDeployment(name: string, key: string, actor: string, confirm: string | undefined): Promise<ApiResult> {
    return this.#options.planner.exclusive(async () => {
      const before = this.#own(name);
      const others = before.deployments.filter((each) => each.key !== key);
      return this.#carryOut([...this.#others(name), ...documentsOf(before, others)], actor, confirm ?? '');
    });
  }

  #own(name: string): PackageState {
    const found = this.#options.state.package(name);
    if (found === undefined) throw oaasError('NotFound', `there is no package "${name}"`);
    if (found.owner.type !== 'api') throw foreign(name, found.owner);
    return found;
  }

  #others(name: string): readonly ParsedDocument[] {
    return this.#options.state
      .packagesOf(owner)
      .filter((each) => each.spec.name !== name)
      .flatMap((each) => documentsOf(each, each.deployments));
  }

  /** @param confirm Undefined: what would lose data is held. Otherwise it is refused, unless the text matches. */
  async #carryOut(
    documents: readonly ParsedDocument[],
    actor: string,
    confirm: string | undefined,
  ): Promise<ApiResult> {
    const { state, planner, clock, enqueue } = this.#options;
    const at = toRfc3339(clock.now());
    const commit: Commit = { id: '', ref: '', message: '', author: actor, committed_at: at };
    const planned = await planner.plan({ owner, source: '', commit, documents, unread: [], prune: 'delete' });
    if (planned.plan.verdict === 'refused') throw refusal(planned);
    const previous = state.unitsOf(owner);
    const units = planned.units.map((unit) => {
      if (unit.change.action !== 'hold' || unit.next.intent !== 'keep' || confirm === undefined) return unit;
      if (
        unit.change.confirm === confirm ||
        previous.some((each) => each.id === unit.change.unit_id && each.hold?.action === 'prune')
      ) {
        return { ...unit, next: { intent: 'delete' as const } };
      }
      throw oaasError('PruneBlocked', unit.change.reason, {
        remedy: `Repeat the request with ?confirm=${encodeURIComponent(unit.change.confirm ?? '')} to remove it all the same; its volumes stay.`,
        details: { unit: unit.change.unit_id, confirm: unit.change.confirm, objects: unit.change.data.objects },
      });
    });
    const changes = carryOut(previous, units, { owner, commit: null, ref: '', repo: '', at }, planner.clusters);
    const wanted = planned.resolution.packages;
    const packages = wanted.flatMap(({ spec, deployments, digest }): readonly PackageState[] => {
      const before = state.package(spec.name);
      if (before?.digest === digest) return [];
      return [
        {
          spec,
          deployments,
          digest,
          path: '',
          owner,
          commit: null,
          actor,
          createdAt: before?.createdAt ?? at,
          updatedAt: at,
        },
      ];
    });
    const gone = state.packagesOf(owner).filter((each) => !wanted.some(({ spec }) => spec.name === each.spec.name));
    await state.apply({ ...changes, packages, forgetPackages: gone.map((each) => each.spec.name) });
    enqueue(state.unitsOf(owner).map((unit) => unit.id));
    return { held: units.filter((unit) => unit.change.action === 'hold' && unit.next.intent !== 'delete').length };
  }
}

function isSeparate(state: PackageState | undefined, key: string): boolean {
  return state?.spec.deployments.every((each) => each.key !== key) ?? false;
}

/** The documents of a stored package, with these deployments instead of its own. */
function documentsOf(state: PackageState, deployments: readonly ClassDeploymentSpec[]): readonly ParsedDocument[] {
  const spec: PackageSpec = { ...state.spec, deployments: [...deployments] };
  const document: PackageDocument = {
    status: 'parsed',
    kind: 'Package',
    path: `api/${spec.name}`,
    line: 1,
    name: spec.name,
    problems: [],
    spec,
    locate: () => start,
  };
  return [document];
}

function deploymentDocument(spec: ClassDeploymentSpec): DeploymentDocument {
  const path = `api/${spec.package_name}/${spec.key}`;
  return {
    status: 'parsed',
    kind: 'ClassDeployment',
    path,
    line: 1,
    name: spec.key,
    problems: [],
    spec,
    locate: () => start,
  };
}

function single<K extends 'Package' | 'ClassDeployment'>(
  documents: readonly ParsedDocument[],
  kind: K,
): Extract<ParsedDocument, { kind: K; status: 'parsed' }> {
  const [document] = documents;
  if (documents.length !== 1 || document === undefined) {
    throw oaasError('InvalidArgument', `the body has ${String(documents.length)} documents instead of one ${kind}`, {
      remedy: 'Send one document a request.',
    });
  }
  const errors = document.problems.filter((each) => each.severity === 'error');
  const [first] = errors;
  if (first !== undefined) {
    throw oaasError(
      first.code === 'YamlInvalid' ? 'YamlInvalid' : 'PackageInvalid',
      `line ${String(first.line)}, column ${String(first.column)}: ${first.message}`,
      {
        remedy: first.remedy,
        details: { problems: errors as unknown as JsonValue },
      },
    );
  }
  if (document.status !== 'parsed' || document.kind !== kind) {
    throw oaasError('PackageInvalid', `the body is no ${kind}`, {
      remedy: kind === 'Package' ? 'It needs a name and classes.' : 'It needs key, package_name and class_key.',
    });
  }
  return document as Extract<ParsedDocument, { kind: K; status: 'parsed' }>;
}

function refusal({ plan }: Planned): OaasError {
  const errors = plan.documents.flatMap((each) => each.problems).filter((each) => each.severity === 'error');
  const first = errors.find((each) => each.path === 'request') ?? errors[0];
  const code =
    first?.code === 'OwnershipConflict' || first?.code === 'DependencyMissing' || first?.code === 'DependencyCycle'
      ? first.code
      : 'PackageInvalid';
  return oaasError(code, first?.message ?? 'the package is refused', {
    remedy: first?.remedy,
    details: { problems: errors as unknown as JsonValue },
  });
}

function foreign(name: string, by: Owner): OaasError {
  return oaasError('OwnershipConflict', `the package "${name}" belongs to ${ownerLabel(by)}`, {
    remedy: 'Change it where it is defined.',
  });
}
