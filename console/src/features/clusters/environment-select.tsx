'use client';

import { useQuery } from '@tanstack/react-query';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';

const query = { limit: 1000, sort: 'name' };

/** The environments that PM knows. */
export function EnvironmentSelect({
  value,
  onChange,
}: {
  readonly value: string;
  readonly onChange: (value: string) => void;
}) {
  const pm = usePm();
  const clusters = useQuery({
    queryKey: keys.clusterList(query),
    queryFn: ({ signal }) => pm.listClusters(query, signal),
  });
  const names = clusters.data?.items.map((cluster) => cluster.name) ?? [];
  const options = value === '' || names.includes(value) ? names : [value, ...names];
  return (
    <FilterSelect
      label="Environment"
      any="Every environment"
      options={options.map((name) => [name, name])}
      value={value}
      onChange={onChange}
    />
  );
}
