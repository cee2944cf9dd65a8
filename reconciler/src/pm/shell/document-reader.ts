import type { DocumentVerdict } from '@oaas/commons/client/pm';
import { isOaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import type { Snapshot } from '../../git/index.ts';
import { frameOf } from '../parse/frame.ts';
import { problem } from '../parse/issues.ts';
import { type ParsedDocument, parseFile } from '../parse/parse.ts';

/** What the files of a commit say. */
export interface CommitDocuments {
  readonly documents: readonly ParsedDocument[];
  /** Verdicts of files that were not even read. */
  readonly unread: readonly DocumentVerdict[];
}

/** Files that are parsed before others get a turn: parsing 2,000 files at once would block everything for a second. */
const parsedAtOnce = 25;
/** Problems of one commit that are shown with their lines; the first ones matter. */
const framesMax = 200;

/** Reads the documents of one source's commits. Equal contents at the same path are the same documents as before. */
export class DocumentReader {
  readonly #timers: Timers;
  #parsed = new Map<string, readonly ParsedDocument[]>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  async read(snapshot: Snapshot, signal: AbortSignal): Promise<CommitDocuments> {
    const parsed = new Map<string, readonly ParsedDocument[]>();
    const unread = snapshot.ignored.map(({ path, reason }) =>
      verdict(path, 'ignored', reason, 'Commit the content itself where it is meant.', 'PackageInvalid'),
    );
    let fresh = 0;
    for (const [path, oid] of snapshot.files) {
      const key = `${oid} ${path}`;
      let documents = this.#parsed.get(key);
      if (documents === undefined) {
        signal.throwIfAborted();
        try {
          documents = parseFile(path, await textOf(snapshot, path));
        } catch (error) {
          if (!isOaasError(error, 'PayloadTooLarge')) throw error;
          unread.push(verdict(path, 'refused', error.message, error.remedy ?? '', error.code));
          continue;
        }
        fresh += 1;
        if (fresh % parsedAtOnce === 0) await turn(this.#timers);
      }
      parsed.set(key, documents);
    }
    // What the newest snapshot does not have is forgotten, which bounds the cache by the limits of a repository.
    this.#parsed = parsed;
    return { documents: [...parsed.values()].flat(), unread };
  }
}

/** The verdicts with the lines that their problems are about. */
export async function withFrames(verdicts: readonly DocumentVerdict[], snapshot: Snapshot): Promise<DocumentVerdict[]> {
  const texts = new Map<string, string>();
  const framed: DocumentVerdict[] = [];
  let frames = 0;
  for (const each of verdicts) {
    const problems: DocumentVerdict['problems'] = [];
    for (const one of each.problems) {
      if (frames >= framesMax || !snapshot.files.has(one.path)) {
        problems.push(one);
        continue;
      }
      const text = texts.get(one.path) ?? (await textOf(snapshot, one.path).catch(emptyIfTooLarge));
      texts.set(one.path, text);
      const frame = frameOf(text, one.line);
      frames += 1;
      problems.push(frame === undefined ? one : { ...one, frame });
    }
    framed.push(problems.length === 0 ? each : { ...each, problems });
  }
  return framed;
}

async function textOf(snapshot: Snapshot, path: string): Promise<string> {
  return Buffer.from(await snapshot.read(path)).toString('utf8');
}

function emptyIfTooLarge(error: unknown): string {
  if (isOaasError(error, 'PayloadTooLarge')) return '';
  throw error;
}

function verdict(
  path: string,
  kind: 'ignored' | 'refused',
  message: string,
  remedy: string,
  code: string,
): DocumentVerdict {
  const severity = kind === 'refused' ? 'error' : 'warning';
  return {
    path,
    line: 1,
    kind: 'Unknown',
    name: '',
    verdict: kind,
    problems: [problem({ severity, code, message, remedy, path, at: { line: 1, column: 1 } })],
  };
}

function turn(timers: Timers): Promise<void> {
  return new Promise((resolve) => {
    timers.after(0, resolve);
  });
}
