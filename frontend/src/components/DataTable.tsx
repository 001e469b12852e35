import type { ReactNode } from "react";

export interface Column<Row> {
  head: string;
  cell: (row: Row) => ReactNode;
  className?: string;
  /** Takes the whole width of the stacked form. */
  wide?: boolean;
  /** Left out of the stacked form that phones get, because it says nothing for this row. */
  isEmpty?: (row: Row) => boolean;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  /** What makes a row stand out. */
  rowClass?: (row: Row) => string;
}

/** A plain table; on a phone each row becomes a block of names and values. */
export function DataTable<Row>({ label, columns, rows, rowKey, rowClass }: Props<Row>) {
  return (
    <div className="overflow-x-auto rounded-xl border border-line bg-surface">
      <table role="table" aria-label={label} className="w-full text-sm max-md:block">
        <thead className="border-b border-line text-left text-xs text-quiet max-md:sr-only">
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" className="px-3 py-2 font-medium whitespace-nowrap first:pl-4 last:pr-4">
                {column.head || <span className="sr-only">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line max-md:block">
          {rows.map((row) => (
            <tr key={rowKey(row)} role="row" className={`transition-colors hover:bg-raised/50 max-md:grid max-md:grid-cols-2 max-md:py-2 ${rowClass?.(row) ?? ""}`}>
              {columns.map((column) => (
                <td key={column.head} role="cell" data-head={column.head}
                  className={`px-3 py-2 align-middle first:pl-4 last:pr-4 max-md:flex max-md:items-center max-md:justify-between max-md:gap-4 max-md:px-4 max-md:py-1 max-md:text-right max-md:whitespace-normal max-md:before:text-left max-md:before:text-xs max-md:before:text-quiet max-md:before:content-[attr(data-head)] ${column.wide ? "max-md:col-span-2" : ""} ${column.isEmpty?.(row) ? "max-md:!hidden" : ""} ${column.className ?? ""}`}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
