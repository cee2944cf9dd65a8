'use client';

import type { PackageView } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { CopyButton } from '../../ui/copy.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Facts, PageHeader, Panel } from '../../ui/panel.tsx';
import { ScrollX } from '../../ui/scroll.tsx';
import { Empty, SkeletonLines } from '../../ui/states.tsx';
import { Tag } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { keys } from '../data/keys.ts';
import { Loaded } from '../data/loaded.tsx';
import { NotThere } from '../data/not-there.tsx';
import { usePm } from '../data/provider.tsx';
import { AxisCell } from '../deployments/axes.tsx';
import { axisNames, axisTitle } from '../deployments/axes.ts';
import { recordPath } from '../deployments/record.ts';
import { classesOf, functionsOf, originText, type ClassView } from './package.ts';

export function PackagePage({ name }: { readonly name: string }) {
  const pm = usePm();
  const item = useQuery({ queryKey: keys.package(name), queryFn: ({ signal }) => pm.getPackage(name, signal) });
  return (
    <Loaded
      query={item}
      skeleton={<SkeletonLines lines={8} className="max-w-2xl" />}
      notFound={<NotThere what="package" name={name} back="/packages" />}
    >
      {(data) => <PackageDetail item={data} />}
    </Loaded>
  );
}

function PackageDetail({ item }: { readonly item: PackageView }) {
  return (
    <>
      <PageHeader
        title={item.name}
        status={item.version === null ? null : <Tag className="text-xs">version {item.version}</Tag>}
        subtitle={item.metadata.description ?? null}
      />
      <div className="grid grid-cols-[minmax(0,1fr)_20rem] items-start gap-5 max-lg:grid-cols-1">
        <div className="flex min-w-0 flex-col gap-5">
          <Records name={item.name} />
          {classesOf(item).map((each) => (
            <ClassPanel key={each.key} view={each} />
          ))}
          <Functions item={item} />
        </div>
        <Panel title="About">
          <About item={item} />
        </Panel>
      </div>
    </>
  );
}

function About({ item }: { readonly item: PackageView }) {
  const { origin } = item;
  return (
    <Facts
      facts={[
        {
          name: 'Origin',
          value:
            origin.source === null ? (
              originText(item)
            ) : (
              <PageLink
                href={`/sources/${encodeURIComponent(origin.source)}`}
                className="break-all text-accent hover:underline"
              >
                {originText(item)}
              </PageLink>
            ),
        },
        { name: 'Author', value: item.metadata.author ?? '—' },
        { name: 'Tags', value: item.metadata.tags.length === 0 ? '—' : item.metadata.tags.join(', ') },
        {
          name: 'Needs',
          value:
            item.dependencies.length === 0
              ? 'no other package'
              : item.dependencies.map((dependency) => (
                  <PageLink
                    key={dependency}
                    href={`/packages/${encodeURIComponent(dependency)}`}
                    className="mr-2 text-accent hover:underline"
                  >
                    {dependency}
                  </PageLink>
                )),
        },
        {
          name: 'Digest',
          value: (
            <span className="flex items-center gap-1">
              <code className="truncate text-xs">{item.digest}</code>
              <CopyButton text={item.digest} label="Copy the digest" />
            </span>
          ),
        },
        { name: 'Created', value: <Ago at={item.created_at} /> },
        { name: 'Updated', value: <Ago at={item.updated_at} /> },
      ]}
    />
  );
}

/** The records that this package led to, with their four axes. */
function Records({ name }: { readonly name: string }) {
  const pm = usePm();
  const query = { limit: 100, filter: { package: name } };
  const records = useQuery({
    queryKey: keys.recordList(query),
    queryFn: ({ signal }) => pm.listRecords(query, signal),
  });
  return (
    <Panel title="Deployments" flush>
      <Loaded query={records} skeleton={<SkeletonLines lines={2} className="p-4" />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing of it is deployed" />
          ) : (
            <ScrollX label="Deployments, scrollable">
              <table className="w-full text-left" aria-label="Deployments">
                <thead>
                  <tr className={head}>
                    <th scope="col">Class</th>
                    <th scope="col">Environment</th>
                    {axisNames.map((axis) => (
                      <th key={axis} scope="col">
                        {axisTitle(axis)}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {items.map((record) => (
                    <tr
                      key={record.id}
                      className="relative border-b last:border-b-0 hover:bg-hover [&_td]:h-10 [&_td]:px-3 [&_td:first-child]:pl-4"
                    >
                      <td>
                        <PageLink href={recordPath(record)} className="row-link font-medium">
                          {record.class_key}
                        </PageLink>
                      </td>
                      <td className="text-ink-2">{record.target_environment}</td>
                      {axisNames.map((axis) => (
                        <td key={axis}>
                          <AxisCell axes={record.axes} name={axis} />
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </ScrollX>
          )
        }
      </Loaded>
    </Panel>
  );
}

const head = 'border-b bg-sunken text-xs text-ink-3 [&_th]:h-8 [&_th]:px-3 [&_th]:font-medium [&_th:first-child]:pl-4';
const line = 'border-b last:border-b-0 [&_td]:h-9 [&_td]:px-3 [&_td:first-child]:pl-4';

function ClassPanel({ view }: { readonly view: ClassView }) {
  return (
    <Panel
      flush
      title={
        <>
          <span className="font-normal text-ink-3">class</span> {view.key}
        </>
      }
      actions={view.state === null ? null : <Tag>{view.state}</Tag>}
    >
      {view.description === null ? null : <p className="border-b px-4 py-2.5 text-ink-2">{view.description}</p>}
      {view.bindings.length === 0 ? (
        <p className="p-4 text-ink-2">No function is bound to it.</p>
      ) : (
        <ScrollX label={`Bindings of ${view.key}, scrollable`}>
          <table className="w-full text-left" aria-label={`Function bindings of ${view.key}`}>
            <thead>
              <tr className={head}>
                <th scope="col">Binding</th>
                <th scope="col">Function</th>
                <th scope="col">Access</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {view.bindings.map((binding) => (
                <tr key={binding.name} className={line}>
                  <td className="font-medium">{binding.name}</td>
                  <td>
                    <code className="text-xs">{binding.functionKey}</code>
                  </td>
                  <td>{binding.access}</td>
                  <td>{binding.stateless ? 'stateless' : 'on an object'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
    </Panel>
  );
}

function Functions({ item }: { readonly item: PackageView }) {
  const functions = functionsOf(item);
  if (functions.length === 0) return null;
  return (
    <Panel title="Functions" flush>
      <ScrollX label="Functions, scrollable">
        <table className="w-full text-left" aria-label="Functions">
          <thead>
            <tr className={head}>
              <th scope="col">Function</th>
              <th scope="col">Type</th>
              <th scope="col">Image</th>
              <th scope="col">Scale</th>
            </tr>
          </thead>
          <tbody>
            {functions.map((fn) => (
              <tr key={fn.key} className={line}>
                <td className="font-medium">{fn.key}</td>
                <td>{fn.type}</td>
                <td>
                  <code className="text-xs break-all">{fn.image ?? '—'}</code>
                </td>
                <td className="whitespace-nowrap">{fn.scale ?? '—'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollX>
    </Panel>
  );
}
