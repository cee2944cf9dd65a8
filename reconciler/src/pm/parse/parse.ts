import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, visit, type YAMLError } from 'yaml';
import type { DocumentProblem } from '@oaas/commons/client/pm';
import {
  apiVersion,
  type ClassDeploymentSpec,
  type DocumentKind,
  documentKinds,
  type OverlaySpec,
  type PackageSpec,
  schemaOf,
} from '../model/schema.ts';
import { ConversionError, convert, type Converted, type Path, type Position } from './convert.ts';
import { nearest, oneOf, problem, problemsOf } from './issues.ts';

interface DocumentBase {
  readonly path: string;
  /** 1-based line where the document begins. */
  readonly line: number;
  readonly name: string;
  readonly problems: readonly DocumentProblem[];
}

/** A document that is well formed by itself. Its problems are warnings. */
export interface AcceptedDocument<Kind extends DocumentKind, Spec> extends DocumentBase {
  readonly status: 'parsed';
  readonly kind: Kind;
  readonly spec: Spec;
  locate(path: Path): Position;
}
export type PackageDocument = AcceptedDocument<'Package', PackageSpec>;
export type DeploymentDocument = AcceptedDocument<'ClassDeployment', ClassDeploymentSpec>;
export type OverlayDocument = AcceptedDocument<'Overlay', OverlaySpec>;

export interface RefusedDocument extends DocumentBase {
  readonly status: 'refused';
  readonly kind: DocumentKind | 'Unknown';
}

/** YAML that is no business of ours, such as another tool's configuration. */
export interface IgnoredDocument extends DocumentBase {
  readonly status: 'ignored';
  readonly kind: 'Unknown';
}

export type ParsedDocument = PackageDocument | DeploymentDocument | OverlayDocument | RefusedDocument | IgnoredDocument;

/** Documents of one file. Over it the file is refused. */
const documentsMax = 1000;
/** Problems kept per document; the first ones matter. */
const problemsMax = 100;

/** Reads one file. Never throws: what is wrong stands in the documents, each error with its line and column. */
export function parseFile(path: string, text: string): readonly ParsedDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    version: '1.2',
    merge: false,
    uniqueKeys: true,
    intAsBigInt: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  if (!Array.isArray(documents)) return [];
  if (documents.length > documentsMax) {
    const at = { line: 1, column: 1 };
    const tooMany = problem({
      message: `the file has more than ${String(documentsMax)} documents`,
      remedy: 'Split it.',
      path,
      at,
    });
    return [{ status: 'refused', kind: 'Unknown', path, line: 1, name: '', problems: [tooMany] }];
  }
  return documents.flatMap((document) => parseDocument(path, text, document, lines) ?? []);
}

function parseDocument(
  path: string,
  text: string,
  document: Document.Parsed,
  lines: LineCounter,
): ParsedDocument | undefined {
  const offset = document.contents?.range[0] ?? document.range[0];
  const line = Math.max(1, lines.linePos(offset).line);
  const [firstError] = document.errors;
  if (firstError !== undefined) {
    const source = text.slice(document.range[0], document.range[2]);
    if (!looksLikeOurs(source) && !looksLikeOurs(text)) return ignored(path, line);
    const problems = document.errors.slice(0, problemsMax).map((error) => syntaxProblem(path, document, error, lines));
    return { status: 'refused', kind: 'Unknown', path, line, name: textOf(document, 'name'), problems };
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return undefined;
  const classified = classify(document);
  if (classified === 'foreign') return ignored(path, line);
  const name = textOf(document, classified === 'ClassDeployment' ? 'key' : 'name');
  const refuse = (problems: readonly DocumentProblem[], kind: DocumentKind | 'Unknown'): RefusedDocument => ({
    status: 'refused',
    kind,
    path,
    line,
    name,
    problems: problems.slice(0, problemsMax),
  });

  const schema = typeof classified === 'string' ? schemaOf[classified] : undefined;
  let converted: Converted;
  try {
    converted = convert(document, lines, schema);
  } catch (error) {
    if (!(error instanceof ConversionError)) throw error;
    const { message, remedy, position } = error;
    return refuse([problem({ code: 'YamlInvalid', message, remedy, path, at: position })], 'Unknown');
  }
  if (typeof classified !== 'string') {
    const at = converted.locate([classified.field]);
    return refuse(
      [problem({ message: classified.message, remedy: classified.remedy, path, at, field: classified.field })],
      'Unknown',
    );
  }
  return check(classified, converted, { path, line, name }, refuse);
}

function check(
  kind: DocumentKind,
  converted: Converted,
  base: { readonly path: string; readonly line: number; readonly name: string },
  refuse: (problems: readonly DocumentProblem[], kind: DocumentKind) => RefusedDocument,
): ParsedDocument {
  const schema = schemaOf[kind];
  const headed = typeof converted.value === 'object' && converted.value !== null && 'apiVersion' in converted.value;
  const unknownKeys = headed ? 'error' : 'warning';
  const problems: DocumentProblem[] = [];
  // Removing the unknown fields of a document without a head, and checking it again, leaves the errors that matter.
  for (let round = 0; round < 2; round += 1) {
    const result = schema.safeParse(converted.value, { reportInput: true });
    if (result.success) {
      const shared = { status: 'parsed', ...base, problems, locate: (at: Path) => converted.locate(at) } as const;
      switch (kind) {
        case 'Package':
          return { ...shared, kind, spec: result.data as PackageSpec };
        case 'ClassDeployment':
          return { ...shared, kind, spec: result.data as ClassDeploymentSpec };
        case 'Overlay':
          return { ...shared, kind, spec: result.data as OverlaySpec };
      }
    }
    problems.push(
      ...result.error.issues.flatMap((issue) => problemsOf(issue, schema, converted, base.path, unknownKeys)),
    );
    if (problems.some((found) => found.severity === 'error')) break;
    for (const issue of result.error.issues)
      if (issue.code === 'unrecognized_keys') removeKeys(converted.value, issue.path, issue.keys);
  }
  return refuse(problems, kind);
}

function removeKeys(value: unknown, path: readonly PropertyKey[], keys: readonly string[]): void {
  let current = value as Record<PropertyKey, unknown> | undefined;
  for (const segment of path) current = current?.[segment] as Record<PropertyKey, unknown> | undefined;
  if (current !== undefined) for (const key of keys) Reflect.deleteProperty(current, key);
}

/** A head that names something of ours which does not exist. */
interface UnknownHead {
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
}

/** Kinds of our group that belong into a cluster, not here. */
const clusterKinds: readonly string[] = ['DeploymentRecord', 'DeploymentTemplate', 'EnvironmentConfig'];

function classify(document: Document): DocumentKind | 'foreign' | UnknownHead {
  if (!isMap(document.contents)) return 'foreign';
  const version = textOf(document, 'apiVersion');
  const kind = textOf(document, 'kind');
  const known = documentKinds.find((each) => each === kind);
  if (version !== '') {
    if (!version.startsWith('oaas.io/')) return 'foreign';
    if (clusterKinds.includes(kind)) return 'foreign';
    if (version !== apiVersion) {
      return {
        field: 'apiVersion',
        message: `"${version}" is not a known version`,
        remedy: `Write apiVersion: ${apiVersion}.`,
      };
    }
    if (known !== undefined) return known;
    const meant = nearest(kind, documentKinds);
    return {
      field: 'kind',
      message: kind === '' ? '"kind" is missing' : `"${kind}" is not a known kind`,
      remedy: meant === undefined ? `Use one of ${oneOf(documentKinds)}.` : `Did you mean "${meant}"?`,
    };
  }
  if (known !== undefined) return known;
  const has = (field: string) => document.has(field);
  if (kind !== '') return 'foreign';
  if (has('class_key') && has('package_name')) return 'ClassDeployment';
  if (has('name') && (has('classes') || has('functions') || has('deployments'))) return 'Package';
  return 'foreign';
}

function textOf(document: Document, field: string): string {
  if (!isMap(document.contents)) return '';
  const value = document.contents.get(field);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Whether text that is no YAML was meant as one of our documents. Templates of other tools must not block a repository. */
function looksLikeOurs(text: string): boolean {
  return /^\s*(apiVersion:\s*["']?oaas\.io\/|(classes|functions|deployments|class_key|function_bindings)\s*:)/m.test(
    text,
  );
}

function ignored(path: string, line: number): IgnoredDocument {
  return { status: 'ignored', kind: 'Unknown', path, line, name: '', problems: [] };
}

const syntaxRemedies: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  DUPLICATE_KEY: 'Remove one of the two fields.',
  TAB_AS_INDENT: 'Indent with spaces.',
  BAD_INDENT: 'Align the line with its neighbours.',
  MISSING_CHAR: 'Close the quote or bracket.',
  BLOCK_AS_IMPLICIT_KEY: 'Put the nested value on a line of its own, indented.',
};

/** A quote that is never closed is found at the end of the file; what helps is where it was opened. */
function placeOf(document: Document.Parsed, error: YAMLError): number {
  let offset = error.pos[0];
  if (error.code !== 'MISSING_CHAR') return offset;
  visit(document, {
    Scalar(_key, node) {
      const isQuoted = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE';
      if (
        isQuoted &&
        node.range !== undefined &&
        node.range !== null &&
        node.range[0] <= error.pos[0] &&
        node.range[1] >= error.pos[0]
      ) {
        offset = node.range[0];
        return visit.BREAK;
      }
      return undefined;
    },
  });
  return offset;
}

function syntaxProblem(path: string, document: Document.Parsed, error: YAMLError, lines: LineCounter): DocumentProblem {
  const { line, col } = lines.linePos(placeOf(document, error));
  return problem({
    code: 'YamlInvalid',
    message: error.code === 'DUPLICATE_KEY' ? 'the field stands here twice' : error.message,
    remedy: syntaxRemedies[error.code] ?? 'Correct the YAML at this place.',
    path,
    at: { line: Math.max(1, line), column: Math.max(1, col) },
  });
}
