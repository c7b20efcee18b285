package gen

import (
	"fmt"
	"math"
)

// montage is a mosaic of the sky in one band, or in three and their composite.
// Shape and means are those of montage-chameleon-dss and -2mass of WfInstances
// (run times and sizes between their two extremes of 0.05 and 15 degrees).
func montage(b *builder, tasks int) {
	viewer := kind{"mViewer", 5, 0.4, 5 * mb, 256, 0}
	if tasks < 58 {
		montageBand(b, tasks, 0, viewer)
		return
	}
	mosaics := make([]string, 3)
	for band := range mosaics {
		mosaics[band] = montageBand(b, share(tasks-1, 3, band), band, viewer)
	}
	b.task(viewer, mosaics...)
}

func montageBand(b *builder, tasks, band int, viewer kind) (mosaic string) {
	var (
		project    = kind{"mProject", 120, 0.22, 25 * mb, 128, 0}
		diff       = kind{"mDiffFit", 1.2, 1.0, 300, 128, 0}
		concat     = kind{"mConcatFit", 1.5, 0.05, 0.02 * mb, 128, 0}
		model      = kind{"mBgModel", 3, 0.05, 1000, 256, 0}
		background = kind{"mBackground", 8, 0.8, 25 * mb, 128, 0}
		table      = kind{"mImgtbl", 0.5, 0.05, 0.02 * mb, 128, 0}
		add        = kind{"mAdd", 9, 0.3, 100 * mb, 512, 0}
	)
	tiles, fits, previews := montageSizes(tasks)
	header := b.initial(fmt.Sprintf("region_%d.hdr", band), 400)
	projected, corrected, differences := make([]string, tiles), make([]string, tiles), make([]string, fits)
	for i := range projected {
		projected[i] = b.task(project, b.initial(fmt.Sprintf("raw_%d_%d.fits", band, i), 6*mb), header)
	}
	for i, pair := range overlaps(tiles)[:fits] {
		differences[i] = b.task(diff, projected[pair[0]], projected[pair[1]], header)
	}
	plane := b.task(model, b.task(concat, differences...))
	for i := range corrected {
		corrected[i] = b.task(background, projected[i], plane)
	}
	mosaic = b.task(add, append(corrected, b.task(table, corrected...))...)
	for range previews {
		b.task(viewer, mosaic)
	}
	return mosaic
}

// montageSizes divides a band's tasks: two for each tile, one for each overlap
// (2.7 a tile in the recorded runs), the four that follow, and the previews.
func montageSizes(tasks int) (tiles, fits, previews int) {
	const fixed = 5
	tiles = max(2, int(math.Round(float64(tasks-fixed)/4.7)))
	for len(overlaps(tiles)) < tasks-fixed-2*tiles {
		tiles++
	}
	if tasks-fixed-2*tiles < 1 {
		tiles--
	}
	left := tasks - fixed - 2*tiles
	fits = min(left, len(overlaps(tiles)))
	return tiles, fits, 1 + left - fits
}

// overlaps are the pairs of neighbours of so many tiles laid out in a square,
// beside each other first, diagonal ones last.
func overlaps(tiles int) (pairs [][2]int) {
	width := int(math.Ceil(math.Sqrt(float64(tiles))))
	for _, step := range [][2]int{{1, 0}, {0, 1}, {1, 1}, {-1, 1}} {
		for i := range tiles {
			x := i%width + step[0]
			if j := i + step[0] + step[1]*width; x >= 0 && x < width && j < tiles {
				pairs = append(pairs, [2]int{i, j})
			}
		}
	}
	return pairs
}

// epigenomics maps DNA reads lane by lane. Shape and means are those of
// epigenomics-chameleon-ilmn of WfInstances.
func epigenomics(b *builder, tasks int) {
	var (
		split   = kind{"fastqSplit", 413, 0.6, 533 * mb, 256, 0}
		filter  = kind{"filterContams", 13.7, 1.0, 6.6 * mb, 256, 0}
		sanger  = kind{"sol2sanger", 7.4, 1.0, 4.8 * mb, 256, 0}
		binary  = kind{"fast2bfq", 1.5, 1.0, 1.3 * mb, 256, 0}
		mapping = kind{"map", 33, 0.18, 0.54 * mb, 512, 0}
		merge   = kind{"mapMerge", 10, 0.6, 36 * mb, 512, 0}
		chr     = kind{"chr21", 39, 0.2, 213 * mb, 512, 0}
		pileup  = kind{"pileup", 53, 0.3, 23 * mb, 512, 0}
	)
	lanes := max(1, int(math.Sqrt(float64(tasks))/7))
	left := tasks - 3 - 2*lanes // besides a lane's split and merge, and the tail
	reference := b.initial("reference.bfa", 48*mb)
	merged := make([]string, lanes)
	for lane := range merged {
		parts := b.split(split, share(left/4, lanes, lane), b.initial(fmt.Sprintf("lane_%d.fastq", lane), 533*mb))
		for c, part := range parts {
			parts[c] = b.task(mapping, b.task(binary, b.task(sanger, b.task(filter, part))), reference)
		}
		merged[lane] = b.task(merge, parts...)
	}
	located := b.task(chr, b.task(merge, merged...), reference)
	for range 1 + left%4 {
		b.task(pileup, located, reference)
	}
}
