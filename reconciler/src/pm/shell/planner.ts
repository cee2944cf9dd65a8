import type { Commit, DocumentVerdict, Plan } from '@oaas/commons/client/pm';
import { type Clock, type Random, randomHex, toRfc3339 } from '@oaas/commons/time';
import { Mutex } from '../../git/index.ts';
import type { ClusterAgent } from '../cluster/agent.ts';
import type { Owner } from '../model/state.ts';
import type { ParsedDocument } from '../parse/parse.ts';
import { type PlannedUnit, planUnits, summarise, unitsToCount, verdictOf } from '../plan/plan.ts';
import { type Resolution, resolve } from '../resolve/resolve.ts';
import type { PmState } from './state.ts';

export interface PlannerOptions {
  readonly state: PmState;
  readonly clock: Clock;
  readonly random: Random;
  readonly agents: ReadonlyMap<string, ClusterAgent>;
}

export interface PlanRequest {
  readonly owner: Owner;
  /** Name under which the plan is kept. */
  readonly source: string;
  readonly commit: Commit;
  readonly documents: readonly ParsedDocument[];
  /** Verdicts of files that were not even read. */
  readonly unread: readonly DocumentVerdict[];
  readonly prune: 'delete' | 'keep';
}

export interface Planned {
  readonly plan: Plan;
  readonly units: readonly PlannedUnit[];
  readonly resolution: Resolution;
}

/** Grids that are asked for their objects at once. */
const askedAtOnce = 16;

/** Makes plans against what PM knows now. */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #mutex = new Mutex();

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  get clusters(): readonly string[] {
    return [...this.#options.agents.keys()];
  }

  /** Runs `work` while nobody else plans and commits: two sources that claim one package must see each other. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(work);
  }

  newId(): string {
    const { clock, random } = this.#options;
    return `${clock.now().toString(36).padStart(9, '0')}-${randomHex(random, 4)}`;
  }

  async plan(request: PlanRequest): Promise<Planned> {
    const { state, clock } = this.#options;
    const resolution = resolve({
      documents: request.documents,
      foreign: state.foreignTo(request.owner),
      clusters: this.clusters,
    });
    const documents = [...resolution.documents, ...request.unread];
    const refused = documents.filter((document) => document.verdict === 'refused').length;
    const units = refused > 0 ? [] : await this.#planUnits(request, resolution);
    const summary = summarise(units, refused);
    const plan: Plan = {
      id: this.newId(),
      source: request.source,
      commit: request.commit,
      created_at: toRfc3339(clock.now()),
      verdict: verdictOf(summary),
      summary,
      documents,
      units: units.map((unit) => unit.change),
    };
    return { plan, units, resolution };
  }

  async #planUnits(request: PlanRequest, resolution: Resolution): Promise<readonly PlannedUnit[]> {
    const previous = this.#options.state.unitsOf(request.owner);
    const hadPackages = this.#options.state.packagesOf(request.owner).length > 0;
    const input = {
      previous,
      desired: resolution.units,
      prune: request.prune,
      emptied: hadPackages && resolution.packages.length === 0 && request.owner.type === 'git',
    };
    return planUnits({ ...input, objects: await this.#count(unitsToCount(input)) });
  }

  /** Asks each grid now: a number from a minute ago is no reason to delete anything. */
  async #count(ids: readonly string[]): Promise<ReadonlyMap<string, number | null>> {
    const counts = new Map<string, number | null>();
    const waiting = [...ids];
    const work = async (): Promise<void> => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
        const cluster = this.#options.state.unit(id)?.spec.target_env ?? '';
        counts.set(id, (await this.#options.agents.get(cluster)?.countObjects(id)) ?? null);
      }
    };
    await Promise.all(Array.from({ length: askedAtOnce }, work));
    return counts;
  }
}
