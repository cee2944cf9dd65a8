import { oaasError } from '@oaas/commons/errors';
import { sleep, type Random, type Timers } from '@oaas/commons/time';
import type { OutboxOwner, TriggerPort } from '@oaas/odgm/events';
import { data, invoke } from '@oaas/proto';
import type { SimProcess, SimWorld } from '@oaas/odgm/testkit/sim';
import { payloadOf } from '@oaas/odgm/events';
import { eventId } from '@oaas/odgm/shard';

const target = data.TriggerTarget.fromPartial({ clsId: 'told.Class', fnId: 'told' });

/** Triggers of all objects of the clients: each change of their entry is told. */
export const triggers = data.ObjectEvent.encode(
  data.ObjectEvent.fromPartial({ dataTrigger: { v: { onCreate: [target], onUpdate: [target], onDelete: [target] } } }),
).finish();

/**
 * The function that triggers call: it fails at times, is late at times, and notes what it was told. What the grid has
 * acknowledged must be among that.
 */
export class Listener {
  /** Ids of the events that told of a version of an object. */
  readonly #told = new Map<string, Set<string>>();
  readonly #acknowledged = new Map<string, number>();
  readonly #random: Random;

  constructor(world: SimWorld) {
    this.#random = world.randomOf('functions');
  }

  /** As a node reaches it. A call whose node has crashed may have come through. */
  portOf({ timers }: SimProcess): TriggerPort {
    return {
      call: async (_class, { request }) => {
        await this.#work(timers);
        const chance = this.#random.next();
        if (chance < 0.1) throw oaasError('Unavailable', 'the function cannot be reached');
        const { eventInfo } = data.TriggerPayload.decode(request.payload);
        if (chance < 0.9 && eventInfo !== undefined) this.#note(eventInfo);
        const status = chance < 0.8 ? invoke.ResponseStatus.OKAY : invoke.ResponseStatus.SYSTEM_ERROR;
        return { status, payload: undefined, headers: {}, invocationId: '' };
      },
    };
  }

  /** A client heard that its change of an entry made this version. */
  acknowledge(objectId: string, version: number): void {
    const change = `${objectId} ${version}`;
    this.#acknowledged.set(change, (this.#acknowledged.get(change) ?? 0) + 1);
  }

  /** Acknowledged changes that nobody was told of, and that are no dead letters. An object that was deleted has its versions anew. */
  untold(owners: readonly OutboxOwner[]): string[] {
    const known = new Map([...this.#told].map(([change, ids]) => [change, new Set(ids)]));
    for (const owner of owners) {
      for (const { event } of owner.outbox.letters()) {
        const { context } = payloadOf(owner, event).eventInfo ?? {};
        const change = `${event.objectId} ${context?.['version_after'] ?? ''}`;
        known.set(change, (known.get(change) ?? new Set()).add(eventId(owner.id, event.origin)));
      }
    }
    return [...this.#acknowledged].flatMap(([change, times]) => {
      const found = known.get(change)?.size ?? 0;
      return found < times ? [`${change} was acknowledged ${times} times and told ${found} times`] : [];
    });
  }

  #work(timers: Timers): Promise<void> {
    return sleep(timers, this.#random.next() < 0.05 ? 500 : 5 * this.#random.next());
  }

  #note({ sourceObjectId = '', context }: data.EventInfo): void {
    const change = `${sourceObjectId} ${context['version_after'] ?? ''}`;
    this.#told.set(change, (this.#told.get(change) ?? new Set()).add(context['event_id'] ?? ''));
  }
}
