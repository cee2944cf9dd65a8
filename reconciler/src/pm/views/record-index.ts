import type { DeploymentRecordView } from '@oaas/commons/client/pm';
import type { PackageManager } from '../shell/manager.ts';
import { type RecordFacts, recordView } from './records.ts';

/**
 * All records of all clusters, wanted or only there, each as the list shows it. A row is made once and kept until something about it
 * changes, so that a page of 10,000 records costs filtering and sorting, not building them.
 */
export class RecordIndex {
  readonly #pm: PackageManager;
  readonly #rows = new Map<string, DeploymentRecordView>();

  constructor(pm: PackageManager) {
    this.#pm = pm;
    pm.events.subscribe(({ event }) => {
      if (event.topic === 'record') this.#rows.delete(event.key);
      // What is shown of each record depends on whether its cluster can be reached.
      else if (event.topic === 'cluster') this.#rows.clear();
    });
  }

  facts(id: string): RecordFacts | undefined {
    const unit = this.#pm.state.unit(id);
    if (unit !== undefined) {
      const cluster = unit.spec.target_env;
      const agent = this.#pm.agents.get(cluster);
      return { id, cluster, unit, agent, observed: agent?.observed(id) };
    }
    for (const [cluster, agent] of this.#pm.agents) {
      const observed = agent.observed(id);
      if (observed !== undefined) return { id, cluster, unit: undefined, agent, observed };
    }
    return undefined;
  }

  all(): readonly DeploymentRecordView[] {
    const rows: DeploymentRecordView[] = [];
    for (const unit of this.#pm.state.units()) this.#add(rows, unit.id);
    for (const agent of this.#pm.agents.values()) {
      for (const id of agent.observedIds()) if (this.#pm.state.unit(id) === undefined) this.#add(rows, id);
    }
    return rows;
  }

  #add(rows: DeploymentRecordView[], id: string): void {
    const known = this.#rows.get(id);
    if (known !== undefined) {
      rows.push(known);
      return;
    }
    const facts = this.facts(id);
    if (facts === undefined) return;
    const row = recordView(facts);
    this.#rows.set(id, row);
    rows.push(row);
  }
}
