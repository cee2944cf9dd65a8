import type { ResourceType } from '../resource.ts';
import type { Selector } from '../selectors.ts';
import { errors, fieldErrors, type ApiError } from '../status.ts';
import { atRevision, type Entry, type Store } from '../store/store.ts';
import type { StoreEvent } from '../store/events.ts';
import { served } from './convert.ts';
import type { WatchOptions } from './options.ts';
import { parseRevision, selectorOf } from './reader.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** Takes a watch's events, in order. `object` is the encoded object of the served version. */
export type WatchSink = (type: WatchEventType, object: Buffer) => void;

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/** One watch: sends what is there or what was missed, then what happens, until it is closed. */
export class Watch {
  readonly #store: Store;
  readonly #resource: ResourceType;
  readonly #prefix: string;
  readonly #selector: Selector;
  readonly #sink: WatchSink;
  #revision = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(
    store: Store,
    resource: ResourceType,
    namespace: string | undefined,
    options: WatchOptions,
    sink: WatchSink,
  ) {
    this.#store = store;
    this.#resource = resource;
    this.#prefix = namespace === undefined ? resource.storage : `${resource.storage}${namespace}/`;
    this.#selector = selectorOf(resource, options);
    this.#sink = sink;
    this.#check(options);
  }

  /** Starts sending; the first events come before this returns. */
  start(options: WatchOptions): void {
    const asked = options.resourceVersion ?? '';
    const isFromNow = asked === '' || asked === '0';
    const wantsState = options.sendInitialEvents ?? isFromNow;
    this.#unsubscribe = this.#store.events.subscribe((events) => {
      this.#forward(events);
    });
    if (wantsState) {
      this.#revision = this.#store.revision;
      for (const entry of this.#store.list(this.#resource.storage)) {
        if (entry.key.startsWith(this.#prefix) && this.#selector(entry)) this.#send('ADDED', entry);
      }
      if (options.sendInitialEvents === true && options.allowWatchBookmarks === true) this.bookmark(true);
      return;
    }
    this.#revision = isFromNow ? this.#store.revision : parseRevision(asked);
    const missed = this.#store.events.since(this.#revision);
    if (missed === undefined) {
      const expired = errors.expired(`too old resource version: ${asked} (${String(this.#store.events.compacted)})`);
      this.#sink('ERROR', Buffer.from(JSON.stringify(expired.status)));
      this.close();
      return;
    }
    this.#forward(missed);
  }

  /** Whether the watch still sends. */
  get isOpen(): boolean {
    return this.#unsubscribe !== undefined;
  }

  /** Tells the client how far the watch has come. */
  bookmark(isInitialEnd = false): void {
    const object = {
      kind: this.#resource.kind,
      apiVersion:
        this.#resource.group === '' ? this.#resource.version : `${this.#resource.group}/${this.#resource.version}`,
      metadata: {
        resourceVersion: String(Math.max(this.#revision, this.#store.revision)),
        creationTimestamp: null,
        ...(isInitialEnd ? { annotations: { [INITIAL_EVENTS_END]: 'true' } } : {}),
      },
    };
    this.#sink('BOOKMARK', Buffer.from(JSON.stringify(object)));
  }

  close(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  #check(options: WatchOptions): void {
    if (options.sendInitialEvents === undefined) {
      if (options.resourceVersionMatch !== undefined && options.resourceVersionMatch !== '') {
        throw invalidOptions('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
      }
      return;
    }
    if (options.resourceVersionMatch !== 'NotOlderThan') {
      throw invalidOptions('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
    }
  }

  #forward(events: readonly StoreEvent[]): void {
    for (const event of events) {
      if (!this.isOpen) return;
      if (event.entry.revision <= this.#revision) continue;
      this.#revision = event.entry.revision;
      if (event.entry.key.startsWith(this.#prefix)) this.#translate(event);
    }
  }

  /** A selector makes objects appear and go: what it no longer selects is deleted to this watcher. */
  #translate(event: StoreEvent): void {
    const was = event.previous !== undefined && this.#selector(event.previous);
    if (event.type === 'DELETED') {
      if (was) this.#send('DELETED', event.entry);
      return;
    }
    const is = this.#selector(event.entry);
    if (is) this.#send(was ? 'MODIFIED' : 'ADDED', event.entry);
    else if (was) this.#send('DELETED', atRevision(event.previous, event.entry.revision));
  }

  #send(type: WatchEventType, entry: Entry): void {
    this.#sink(type, served(this.#resource, entry.bytes));
  }
}

function invalidOptions(detail: string): ApiError {
  const options = { group: 'meta.k8s.io', plural: 'listoptions', kind: 'ListOptions' };
  return errors.invalid(options, '', [fieldErrors.forbidden('resourceVersionMatch', detail)]);
}
