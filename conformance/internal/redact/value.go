// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package redact

import "reflect"

// Value returns a deep copy of v in which Text was applied to every string, as Each does it.
func Value[T any](r Redactor, v T) T { return Each(v, r.Text) }

// Each returns a deep copy of v in which f was applied to every string: fields, elements, keys of maps,
// behind pointers. It walks whatever type there is, so that a field added later is not forgotten. Fields
// that are not exported are copied as they are.
func Each[T any](v T, f func(string) string) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	out.Set(reflect.ValueOf(&v).Elem())
	walker(f).walk(out)
	return out.Interface().(T)
}

// walker is what is done to strings.
type walker func(string) string

// walk changes v, which is settable, in place; whatever v shares with the original is copied first.
func (w walker) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(w(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				w.walk(f)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			w.walk(v.Index(i))
		}
	case reflect.Slice:
		if !v.IsNil() {
			fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(fresh, v)
			for i := range fresh.Len() {
				w.walk(fresh.Index(i))
			}
			v.Set(fresh)
		}
	case reflect.Map:
		w.walkMap(v)
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			fresh := reflect.New(v.Elem().Type()).Elem()
			fresh.Set(v.Elem())
			w.walk(fresh)
			if v.Kind() == reflect.Pointer {
				fresh = fresh.Addr()
			}
			v.Set(fresh)
		}
	}
}

func (w walker) walkMap(v reflect.Value) {
	if v.IsNil() {
		return
	}
	fresh := reflect.MakeMapWithSize(v.Type(), v.Len())
	for _, key := range v.MapKeys() {
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		k.Set(key)
		e.Set(v.MapIndex(key))
		w.walk(k)
		w.walk(e)
		fresh.SetMapIndex(k, e)
	}
	v.Set(fresh)
}
